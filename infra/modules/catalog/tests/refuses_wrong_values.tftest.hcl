mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    backup           = { recovery_days = 30, start_time = "5 am" }
    database_version = "POSTGRES_12"
    disk             = { initial_gb = 50, max_gb = 20 }
    maintenance      = { day = 0 }
    name             = "Lavra_Catalog"
    tier             = "small"
  }
  expect_failures = [
    var.backup,
    var.database_version,
    var.disk,
    var.maintenance,
    var.name,
    var.tier,
  ]
}
