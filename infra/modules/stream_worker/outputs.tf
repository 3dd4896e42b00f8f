output "pool" {
  description = "Name of the worker pool: gcloud run worker-pools describe <pool>."
  value       = google_cloud_run_v2_worker_pool.streams.name
}
