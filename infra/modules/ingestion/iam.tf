# Only under the prefix: the models' own files are out of its reach.
resource "google_storage_bucket_iam_member" "landing" {
  bucket = var.bucket
  member = "serviceAccount:${local.address}"
  role   = "roles/storage.objectUser"

  condition {
    title      = "only ${var.prefix}"
    expression = "resource.name.startsWith('projects/_/buckets/${var.bucket}/objects/${var.prefix}')"
  }
}

resource "google_secret_manager_secret_iam_member" "drivers" {
  for_each = var.drivers

  project   = var.project_id
  member    = "serviceAccount:${each.value}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = google_secret_manager_secret.own["client-secret"].secret_id
}
