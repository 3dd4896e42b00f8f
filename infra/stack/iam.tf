# The sources' secrets are made by whoever owns the sources; here the worker is let in.
resource "google_secret_manager_secret_iam_member" "sources" {
  for_each = var.sources.secrets

  project   = module.apis.project_id
  member    = "serviceAccount:${module.identity.emails.worker}"
  role      = "roles/secretmanager.secretAccessor"
  secret_id = each.value
}
