mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    airbyte = { client_id = "app", url = "http://airbyte.example.com", workspace_id = "4f1c" }
    name    = "Lavra"
    prefix  = "ducklake/"
  }
  expect_failures = [
    var.airbyte,
    var.name,
    var.prefix,
  ]
}
