mock_provider "google" {}

run "costs_nothing_when_idle" {
  command = plan

  assert {
    condition     = one(one(google_cloud_run_v2_service.receiver.template).scaling).min_instance_count == 0
    error_message = "No instance must be kept by default."
  }
}
