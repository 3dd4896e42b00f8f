# Terraform makes the secrets; docs/deploy.md says how they get their values, which no plan holds.
resource "google_secret_manager_secret" "own" {
  for_each = local.own

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

locals {
  own = {
    admin-password = "LAVRA_SUPERSET_ADMIN_PASSWORD"
    secret-key     = "LAVRA_SUPERSET_SECRET_KEY"
  }
}
