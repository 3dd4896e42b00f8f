# What a real Airbyte (its cloud, or one's own) needs to write to the lake, and nothing besides: an
# account that may write under the landing prefix, and a place for the key that it logs in with.
resource "google_service_account" "airbyte" {
  project      = var.project_id
  account_id   = "${var.name}-airbyte"
  description  = "Airbyte: writes landed files under ${var.prefix}."
  display_name = "Lavra airbyte (${var.name})"
}

# The key itself is made by `gcloud storage hmac create`: what Terraform makes, its state keeps.
resource "google_secret_manager_secret" "own" {
  for_each = local.own

  project   = var.project_id
  labels    = var.labels
  secret_id = "${var.name}-airbyte-${each.key}"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

locals {
  # Of the destination, and of the application by which `lavra ingest` drives Airbyte.
  own = toset(["client-secret", "hmac-secret"])

  address = "${google_service_account.airbyte.account_id}@${var.project_id}.iam.gserviceaccount.com"
}
