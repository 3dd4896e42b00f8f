# Left on when the lake goes: others in the project may use them, and they cost nothing.
resource "google_project_service" "apis" {
  for_each = var.apis

  project                    = var.project_id
  disable_dependent_services = false
  disable_on_destroy         = false
  service                    = each.key
}
