mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    image     = "lavra/superset:1.0"
    ingress   = "public"
    invokers  = { all = "allUsers" }
    resources = { cpu = 1, memory_gib = 8 }
    scaling   = { max_instances = 1, min_instances = 2 }
    service   = { auth = "basic", url = "https://service.example.run.app" }
    settings  = { time_zone = "UTC" }
    starters  = { all = "allUsers" }
  }
  expect_failures = [
    var.image,
    var.ingress,
    var.invokers,
    var.resources,
    var.scaling,
    var.service,
    var.settings,
    var.starters,
  ]
}
