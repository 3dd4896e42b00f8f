# One URL with a password per part, and the certificate of the server's authority. Terraform makes
# the secrets, and who may read them; infra/bin/catalog_credentials.py puts the values in, so that
# no password is ever in a plan or a state.
resource "google_secret_manager_secret" "urls" {
  for_each = local.users

  project   = var.project_id
  labels    = var.labels
  secret_id = "${var.name}-url-${each.key}"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret" "ca" {
  project   = var.project_id
  labels    = var.labels
  secret_id = "${var.name}-ca"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

locals {
  users = {
    service  = { database = "lavra", role = "lavra_service" }
    superset = { database = "superset", role = "lavra_superset" }
    worker   = { database = "lavra", role = "lavra_worker" }
  }
}
