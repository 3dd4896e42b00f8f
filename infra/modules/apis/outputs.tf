output "project_id" {
  description = "The project, known once its APIs are on: what takes it from here waits for them."
  value       = var.project_id
  depends_on  = [google_project_service.apis]
}
