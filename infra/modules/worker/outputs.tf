output "job" {
  description = "Name of the Cloud Run job: gcloud run jobs execute <job>."
  value       = google_cloud_run_v2_job.worker.name
}
