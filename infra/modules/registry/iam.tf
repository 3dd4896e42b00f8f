resource "google_artifact_registry_repository_iam_member" "writers" {
  for_each = var.writers

  project    = var.project_id
  location   = var.region
  member     = "serviceAccount:${each.value}"
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
}
