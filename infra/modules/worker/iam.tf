# run.invoker on one job: start this job, nothing else.
resource "google_cloud_run_v2_job_iam_member" "starters" {
  for_each = merge(
    var.starters,
    var.schedule == null ? {} : { scheduler = "serviceAccount:${var.schedule.service_account}" },
  )

  project  = var.project_id
  location = var.region
  member   = each.value
  name     = google_cloud_run_v2_job.worker.name
  role     = "roles/run.invoker"
}
