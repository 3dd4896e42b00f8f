output "name" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.query.name
}

output "service_url" {
  description = "Where the service is reached, for LAVRA_SERVICE_URL."
  value       = google_cloud_run_v2_service.query.uri
}
