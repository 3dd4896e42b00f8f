mock_provider "google" {}

run "lands_and_no_more" {
  command = plan

  variables {
    drivers = { worker = "worker@example.iam.gserviceaccount.com" }
  }

  assert {
    condition     = google_storage_bucket_iam_member.landing.role == "roles/storage.objectUser" && google_storage_bucket_iam_member.landing.member == "serviceAccount:lavra-test-airbyte@example.iam.gserviceaccount.com"
    error_message = "Airbyte must write files, and not administer the bucket."
  }
  assert {
    condition     = one(google_storage_bucket_iam_member.landing.condition).expression == "resource.name.startsWith('projects/_/buckets/acme-lavra-test/objects/bronze/')"
    error_message = "Airbyte must not reach what the models write."
  }
  assert {
    condition     = toset([for secret in google_secret_manager_secret.own : secret.secret_id]) == toset(["lavra-test-airbyte-client-secret", "lavra-test-airbyte-hmac-secret"])
    error_message = "Key and application's secret must be in Secret Manager."
  }
  assert {
    condition     = { for member in google_secret_manager_secret_iam_member.drivers : "${member.role} ${member.member}" => member.secret_id } == { "roles/secretmanager.secretAccessor serviceAccount:worker@example.iam.gserviceaccount.com" = "lavra-test-airbyte-client-secret" }
    error_message = "Who drives Airbyte must read the application's secret, and not the destination's key."
  }
  assert {
    condition     = output.settings == { LAVRA_AIRBYTE_CLIENT_ID = "app", LAVRA_AIRBYTE_URL = "https://api.airbyte.com/v1", LAVRA_AIRBYTE_WORKSPACE_ID = "4f1c" } && output.secrets == { LAVRA_AIRBYTE_CLIENT_SECRET = "lavra-test-airbyte-client-secret" }
    error_message = "The jobs must be told which Airbyte it is."
  }
}
