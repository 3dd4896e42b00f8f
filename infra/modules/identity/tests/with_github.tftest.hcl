mock_provider "google" {}

run "with_github" {
  command = plan

  variables {
    github = { project_number = "123", repository = "acme/lake", repository_id = "456" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.repository_id == '456' && assertion.ref == 'refs/heads/main'"
    error_message = "Only the main branch of the one repository may act as deployer."
  }
  assert {
    condition     = google_service_account_iam_member.github[0].member == "principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/lavra-test-github/attribute.repository_id/456"
    error_message = "The pool must let in the one repository, not all of GitHub."
  }
  assert {
    condition     = google_service_account_iam_member.github[0].role == "roles/iam.workloadIdentityUser"
    error_message = "GitHub may act as the account, not administer it."
  }
}
