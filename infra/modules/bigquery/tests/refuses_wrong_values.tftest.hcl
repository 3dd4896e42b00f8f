mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    environment = "Prod"
    lake_url    = "gs://acme-lavra-test/"
    name        = "Lavra"
    readers     = { all = "allUsers" }
    tables      = ["silver_shop.orders"]
  }
  expect_failures = [
    var.environment,
    var.lake_url,
    var.name,
    var.readers,
    var.tables,
  ]
}
