# objectViewer reads and lists. objectUser also writes and deletes; neither may change who has
# access.
resource "google_storage_bucket_iam_member" "readers" {
  for_each = var.readers

  bucket = google_storage_bucket.lake.name
  member = "serviceAccount:${each.value}"
  role   = "roles/storage.objectViewer"
}

resource "google_storage_bucket_iam_member" "writers" {
  for_each = var.writers

  bucket = google_storage_bucket.lake.name
  member = "serviceAccount:${each.value}"
  role   = "roles/storage.objectUser"
}
