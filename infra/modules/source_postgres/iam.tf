# The generator is a part of its own: it knows this database, and nothing of the lake.
resource "google_service_account" "generator" {
  project      = var.project_id
  account_id   = "${var.name}-gen"
  description  = "Runs the generator of ${var.name}: writes to that database."
  display_name = "Lavra generator (${var.name})"
}

resource "google_secret_manager_secret_iam_member" "generator" {
  for_each = toset(["ca", "generator-token", "generator-url"])

  project   = var.project_id
  member    = "serviceAccount:${local.generator}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = google_secret_manager_secret.own[each.key].secret_id
}

# Who follows the changes: the worker.
resource "google_secret_manager_secret_iam_member" "followers" {
  for_each = var.followers

  project   = var.project_id
  member    = "serviceAccount:${each.value}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = google_secret_manager_secret.own["replication-password"].secret_id
}

resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = var.image == null ? {} : var.callers

  project  = var.project_id
  location = var.region
  member   = each.value
  name     = google_cloud_run_v2_service.generator[0].name
  role     = "roles/run.invoker"
}

locals {
  generator = "${google_service_account.generator.account_id}@${var.project_id}.iam.gserviceaccount.com"
}
