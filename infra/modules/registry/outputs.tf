output "url" {
  description = "What an image's name starts with: <url>/<image>@sha256:..."
  value       = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}"
}
