mock_provider "google" {}

run "refuses_unknown_access" {
  command = plan

  variables {
    access = "everyone"
  }
  expect_failures = [var.access]
}
