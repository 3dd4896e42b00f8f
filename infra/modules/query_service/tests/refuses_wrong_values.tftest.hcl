mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    image             = "lavra/service:latest"
    ingress           = "public"
    invokers          = { all = "allUsers" }
    lake_url          = "s3://lake"
    request_timeout_s = 7200
    resources         = { cache_gib = 8, cpu = 3, memory_gib = 8 }
    scaling           = { max_instances = 1, min_instances = 2, concurrency = 0 }
    secrets           = { LAVRA_CATALOG_URL = "other" }
    settings          = { LAVRA_LAKE_URL = "gs://other", Time_Zone = "UTC" }
    startup_timeout_s = 1
  }
  expect_failures = [
    var.image,
    var.ingress,
    var.invokers,
    var.lake_url,
    var.request_timeout_s,
    var.resources,
    var.scaling,
    var.secrets,
    var.settings,
    var.startup_timeout_s,
  ]
}
