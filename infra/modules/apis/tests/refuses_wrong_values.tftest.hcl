mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    apis = ["run"]
  }
  expect_failures = [var.apis]
}
