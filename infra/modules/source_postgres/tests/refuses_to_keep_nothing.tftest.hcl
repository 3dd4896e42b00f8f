mock_provider "google" {}

run "refuses_a_slot_that_keeps_nothing" {
  command = plan

  variables {
    slot_keeps_mb = 1
  }
  expect_failures = [var.slot_keeps_mb]
}
