output "bootstrap_job" {
  description = "Name of the job that brings schema, roles and dashboards: gcloud run jobs execute <job>."
  value       = google_cloud_run_v2_job.bootstrap.name
}

output "name" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.superset.name
}

output "secrets" {
  description = "Superset's own secrets, to be given values before the first deployment: what => secret."
  value       = { for name, secret in google_secret_manager_secret.own : name => secret.secret_id }
}

output "url" {
  description = "Where people reach Superset."
  value       = google_cloud_run_v2_service.superset.uri
}
