# Superset signs who asks, and the query service believes that and nothing else of what it says.
resource "google_secret_manager_secret" "signing" {
  count = var.images.superset == null ? 0 : 1

  project   = module.apis.project_id
  labels    = local.labels
  secret_id = "${var.name}-superset-signing-secret"

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "signing" {
  for_each = var.images.superset == null ? [] : toset(["service", "superset"])

  project   = module.apis.project_id
  member    = "serviceAccount:${module.identity.emails[each.key]}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = google_secret_manager_secret.signing[0].secret_id
}
