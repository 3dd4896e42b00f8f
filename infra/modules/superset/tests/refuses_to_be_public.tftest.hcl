mock_provider "google" {}

run "refuses_to_be_public" {
  command = plan

  variables {
    access  = "login"
    ingress = "all"
  }
  expect_failures = [var.access]
}
