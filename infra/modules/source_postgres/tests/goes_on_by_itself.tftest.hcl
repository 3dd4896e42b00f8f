mock_provider "google" {}

run "goes_on_by_itself" {
  command = plan

  variables {
    rate = 5
  }

  assert {
    condition     = one(one(google_cloud_run_v2_service.generator[0].template).scaling).min_instance_count == 1 && one(one(one(google_cloud_run_v2_service.generator[0].template).containers).resources).cpu_idle == false
    error_message = "Events that come by themselves need an instance that stays, and its CPU."
  }
}

run "the_database_alone" {
  command = plan

  variables {
    callers = { me = "user:me@example.com" }
    image   = null
  }

  assert {
    condition     = length(google_cloud_run_v2_service.generator) == 0 && output.generator_url == null
    error_message = "Without an image there is no generator."
  }
}
