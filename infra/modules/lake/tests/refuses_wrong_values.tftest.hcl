mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    bronze_nearline_after_days = 3
    kms_key                    = "lake"
    name                       = "Lake Of Acme"
    recovery_days              = 1
  }
  expect_failures = [
    var.bronze_nearline_after_days,
    var.kms_key,
    var.name,
    var.recovery_days,
  ]
}
