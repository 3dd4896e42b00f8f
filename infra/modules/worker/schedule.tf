resource "google_cloud_scheduler_job" "schedule" {
  count = var.schedule == null ? 0 : 1

  project     = var.project_id
  name        = var.name
  description = "Starts ${var.name}."
  paused      = var.schedule.paused
  region      = coalesce(var.schedule.region, var.region)
  schedule    = var.schedule.cron
  time_zone   = var.schedule.time_zone

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/projects/${var.project_id}/locations/${var.region}/jobs/${google_cloud_run_v2_job.worker.name}:run"

    oauth_token {
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
      service_account_email = var.schedule.service_account
    }
  }

  # Starting twice does no harm (the writes are serialised in the catalog), starting not at all does.
  retry_config {
    max_backoff_duration = "60s"
    min_backoff_duration = "5s"
    retry_count          = 3
  }
}
