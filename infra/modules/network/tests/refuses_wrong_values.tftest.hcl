mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    flow_log_sampling              = 10
    name                           = "Lavra_Dev"
    private_services_prefix_length = 28
    subnet_cidr                    = "10.20.0.0/28"
  }
  expect_failures = [
    var.flow_log_sampling,
    var.name,
    var.private_services_prefix_length,
    var.subnet_cidr,
  ]
}
