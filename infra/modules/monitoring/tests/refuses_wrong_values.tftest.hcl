mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    budget     = { billing_account = "mine", monthly = 0.5 }
    emails     = []
    thresholds = { errors_per_second = -1 }
  }
  expect_failures = [var.budget, var.emails, var.thresholds]
}
