resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = var.invokers

  project  = var.project_id
  location = var.region
  member   = each.value
  name     = google_cloud_run_v2_service.query.name
  role     = "roles/run.invoker"
}
