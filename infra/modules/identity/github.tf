# GitHub Actions prove who they are with a token of GitHub's; no key of ours exists to be stolen.
resource "google_iam_workload_identity_pool" "github" {
  count = var.github == null ? 0 : 1

  project                   = var.project_id
  description               = "Workflows of GitHub Actions."
  display_name              = "${var.prefix} GitHub"
  workload_identity_pool_id = "${var.prefix}-github"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count = var.github == null ? 0 : 1

  project                            = var.project_id
  description                        = "Tokens of GitHub Actions, from ${var.github.repository} at ${var.github.ref} only."
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"

  # Names of repositories and organisations can be given up and taken by others; numbers cannot.
  attribute_condition = "assertion.repository_id == '${var.github.repository_id}' && assertion.ref == '${var.github.ref}'"
  attribute_mapping = {
    "attribute.repository_id" = "assertion.repository_id"
    "google.subject"          = "assertion.sub"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github" {
  count = var.github == null ? 0 : 1

  member             = "principalSet://iam.googleapis.com/projects/${var.github.project_number}/locations/global/workloadIdentityPools/${google_iam_workload_identity_pool.github[0].workload_identity_pool_id}/attribute.repository_id/${var.github.repository_id}"
  role               = "roles/iam.workloadIdentityUser"
  service_account_id = google_service_account.parts["deployer"].name
}
