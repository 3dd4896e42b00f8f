mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    command     = []
    image       = "lavra/job:1.0"
    lake_url    = "file:///lake"
    max_retries = 50
    resources   = { cpu = 1, memory_gib = 8, scratch_gib = 8 }
    schedule    = { cron = "hourly", service_account = "scheduler@example.iam.gserviceaccount.com" }
    secrets     = { LAVRA_CATALOG_URL = "other" }
    settings    = { LAVRA_STATE_DIR = "/tmp" }
    sources     = { LAVRA_LAKE_URL = "gs://other" }
    starters    = { all = "allAuthenticatedUsers" }
    timeout_s   = 5
  }
  expect_failures = [
    var.command,
    var.image,
    var.lake_url,
    var.max_retries,
    var.resources,
    var.schedule,
    var.secrets,
    var.settings,
    var.sources,
    var.starters,
    var.timeout_s,
  ]
}
