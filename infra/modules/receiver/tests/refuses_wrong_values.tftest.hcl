mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    image          = "lavra/job:1.0"
    lake_url       = "file:///lake"
    name           = "Receiver"
    prefixes       = ["ducklake/"]
    project_number = "example"
    resources      = { cpu = 1, memory_gib = 8, scratch_gib = 8 }
    secrets        = { LAVRA_CATALOG_URL = "other" }
    settings       = { LAVRA_RECEIVER_SENDERS = "[\"anyone@example.com\"]" }
    sources        = { LAVRA_LAKE_URL = "gs://other" }
  }
  expect_failures = [
    var.image,
    var.lake_url,
    var.name,
    var.prefixes,
    var.project_number,
    var.resources,
    var.secrets,
    var.settings,
    var.sources,
  ]
}
