mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    patience       = 0
    prefix         = "ducklake/"
    project_number = "example"
    settle_s       = 3600
  }
  expect_failures = [
    var.patience,
    var.prefix,
    var.project_number,
    var.settle_s,
  ]
}
