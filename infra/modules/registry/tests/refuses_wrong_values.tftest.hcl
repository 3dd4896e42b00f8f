mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    delete_after_days = 1
    keep_versions     = 1
    name              = "Lavra"
  }
  expect_failures = [var.delete_after_days, var.keep_versions, var.name]
}
