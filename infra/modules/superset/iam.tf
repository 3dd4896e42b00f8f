resource "google_secret_manager_secret_iam_member" "own" {
  for_each = local.own

  project   = var.project_id
  member    = "serviceAccount:${var.service_account}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = google_secret_manager_secret.own[each.key].secret_id
}

resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = var.access == "login" ? {} : var.invokers

  project  = var.project_id
  location = var.region
  member   = each.value
  name     = google_cloud_run_v2_service.superset.name
  role     = "roles/run.invoker"
}

resource "google_cloud_run_v2_job_iam_member" "starters" {
  for_each = var.starters

  project  = var.project_id
  location = var.region
  member   = each.value
  name     = google_cloud_run_v2_job.bootstrap.name
  role     = "roles/run.invoker"
}
