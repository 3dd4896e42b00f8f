# Terraform makes the secrets and who may read them; infra/bin/source_credentials.py puts values in.
resource "google_secret_manager_secret" "own" {
  for_each = toset(["ca", "generator-token", "generator-url", "replication-password"])

  project   = var.project_id
  labels    = var.labels
  secret_id = "${var.name}-${each.key}"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}
