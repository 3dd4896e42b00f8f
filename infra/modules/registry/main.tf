resource "google_artifact_registry_repository" "images" {
  project       = var.project_id
  description   = "Images of the lake's parts."
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = var.labels
  location      = var.region
  repository_id = var.name

  # A tag that moves would make a rollback return to something else.
  docker_config {
    immutable_tags = true
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = var.keep_versions
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "${var.delete_after_days * 86400}s"
      tag_state  = "ANY"
    }
  }

  vulnerability_scanning_config {
    enablement_config = var.vulnerability_scanning ? "INHERITED" : "DISABLED"
  }
}
