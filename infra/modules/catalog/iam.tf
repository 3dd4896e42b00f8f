resource "google_secret_manager_secret_iam_member" "urls" {
  for_each = local.users

  project   = var.project_id
  member    = "serviceAccount:${var.service_accounts[each.key]}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = google_secret_manager_secret.urls[each.key].secret_id
}

resource "google_secret_manager_secret_iam_member" "ca" {
  for_each = local.users

  project   = var.project_id
  member    = "serviceAccount:${var.service_accounts[each.key]}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = google_secret_manager_secret.ca.secret_id
}
