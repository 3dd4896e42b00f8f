mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    callers          = { all = "allUsers" }
    database         = "Fleet"
    database_version = "POSTGRES_12"
    disk             = { initial_gb = 50, max_gb = 20 }
    flags            = { "cloudsql.logical_decoding" = "off" }
    image            = "lavra/job:1.0"
    name             = "Lavra_Fleet"
    rate             = 1000
    tier             = "small"
    variables        = "aviation"
  }
  expect_failures = [
    var.callers,
    var.database,
    var.database_version,
    var.disk,
    var.flags,
    var.image,
    var.name,
    var.rate,
    var.tier,
    var.variables,
  ]
}
