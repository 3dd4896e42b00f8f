mock_provider "google" {}

run "without_github" {
  command = plan

  assert {
    condition     = keys(output.emails) == ["scheduler", "service", "superset", "worker"]
    error_message = "Each part must have an account of its own, and nobody else."
  }
  assert {
    condition     = output.emails.worker == "lavra-test-worker@example.iam.gserviceaccount.com"
    error_message = "Addresses must be known when planning."
  }
  assert {
    condition     = length(google_iam_workload_identity_pool.github) == 0
    error_message = "Without a repository nobody outside may act as an account."
  }
}
