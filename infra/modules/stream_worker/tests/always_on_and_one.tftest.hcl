mock_provider "google" {}

run "always_on_and_one" {
  command = plan

  variables {
    resources = { cpu = 2, memory_gib = 8, scratch_gib = 2 }
    secrets   = { AVIATION_PASSWORD = "fleet-password" }
    settings  = { LAVRA_LOG_LEVEL = "debug" }
    sources   = { AVIATION_HOST = "10.1.2.3" }
  }

  assert {
    condition     = one(google_cloud_run_v2_worker_pool.streams.scaling).scaling_mode == "MANUAL" && one(google_cloud_run_v2_worker_pool.streams.scaling).manual_instance_count == 1
    error_message = "One instance must run, always: a stream that nobody reads fills its source's disk."
  }
  assert {
    condition     = one(google_cloud_run_v2_worker_pool.streams.template).service_account == var.service_account
    error_message = "The pool must run as its own account."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_worker_pool.streams.template).containers).command == tolist(["lavra", "worker", "--only", "models", "--only", "streams"])
    error_message = "The pool must run the worker's parts that were asked for."
  }
  assert {
    condition     = one(one(one(google_cloud_run_v2_worker_pool.streams.template).containers).resources).limits == tomap({ cpu = "2", memory = "8Gi" })
    error_message = "CPU and memory must be limited."
  }
  assert {
    condition     = one([for volume in one(google_cloud_run_v2_worker_pool.streams.template).volumes : one(volume.empty_dir) if volume.name == "state"]).size_limit == "2Gi"
    error_message = "Scratch space must be limited."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_worker_pool.streams.template).containers).env : env.name => one(one(env.value_source).secret_key_ref).secret if length(env.value_source) > 0 } == { AVIATION_PASSWORD = "fleet-password", LAVRA_CATALOG_URL = "lavra-test-catalog-url-worker" }
    error_message = "What is secret must come from Secret Manager."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_worker_pool.streams.template).containers).env : env.name => env.value if length(env.value_source) == 0 } == { AVIATION_HOST = "10.1.2.3", LAVRA_LAKE_URL = "gs://acme-lavra-test", LAVRA_LOG_LEVEL = "debug", LAVRA_STATE_DIR = "/var/lavra", LAVRA_WORKER_METRICS_PORT = "0" }
    error_message = "Settings, and what the sources need, must reach the worker."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_worker_pool.streams.template).vpc_access).egress == "PRIVATE_RANGES_ONLY"
    error_message = "Catalog and source must be reached through the network."
  }
  assert {
    condition     = terraform_data.slots.input == { job = "lavra-test-teardown-streams", project_id = "example", region = "southamerica-east1" }
    error_message = "What is destroyed must first drop the slots, by the job that can."
  }
}
