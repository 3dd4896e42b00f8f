mock_provider "google" {}

run "scheduled_and_limited" {
  command = plan

  variables {
    resources = { memory_gib = 8, scratch_gib = 2 }
    schedule  = { cron = "15 * * * *", service_account = "scheduler@example.iam.gserviceaccount.com", time_zone = "America/Sao_Paulo" }
    secrets   = { SHOP_PASSWORD = "shop-password" }
    settings  = { LAVRA_LOG_LEVEL = "debug" }
    sources   = { SHOP_HOST = "10.1.2.3" }
  }

  assert {
    condition     = one(one(google_cloud_run_v2_job.worker.template).template).service_account == var.service_account
    error_message = "The job must run as its own account."
  }
  assert {
    condition     = one(google_cloud_run_v2_job.worker.template).task_count == 1 && one(google_cloud_run_v2_job.worker.template).parallelism == 1
    error_message = "One execution must be one task: the lake has one writer at a time."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_job.worker.template).template).timeout == "3600s" && one(one(google_cloud_run_v2_job.worker.template).template).max_retries == 1
    error_message = "Time and retries must be limited."
  }
  assert {
    condition     = one(one(one(one(google_cloud_run_v2_job.worker.template).template).containers).resources).limits == tomap({ cpu = "2", memory = "8Gi" })
    error_message = "CPU and memory must be limited."
  }
  assert {
    condition     = one(one(one(google_cloud_run_v2_job.worker.template).template).containers).command == tolist(["lavra", "ingest", "run"])
    error_message = "The job must run the command."
  }
  assert {
    condition     = { for env in one(one(one(google_cloud_run_v2_job.worker.template).template).containers).env : env.name => one(one(env.value_source).secret_key_ref).secret if length(env.value_source) > 0 } == { LAVRA_CATALOG_URL = "lavra-test-catalog-url-worker", SHOP_PASSWORD = "shop-password" }
    error_message = "What is secret must come from Secret Manager."
  }
  assert {
    condition     = { for env in one(one(one(google_cloud_run_v2_job.worker.template).template).containers).env : env.name => env.value if length(env.value_source) == 0 } == { LAVRA_LAKE_URL = "gs://acme-lavra-test", LAVRA_LOG_LEVEL = "debug", LAVRA_STATE_DIR = "/var/lavra", SHOP_HOST = "10.1.2.3" }
    error_message = "Settings, and what the sources need, must reach the job."
  }
  assert {
    condition     = one([for volume in one(one(google_cloud_run_v2_job.worker.template).template).volumes : one(volume.empty_dir) if volume.name == "state"]).size_limit == "2Gi"
    error_message = "Scratch space must be limited."
  }
  assert {
    condition     = google_cloud_scheduler_job.schedule[0].schedule == "15 * * * *" && google_cloud_scheduler_job.schedule[0].time_zone == "America/Sao_Paulo"
    error_message = "The schedule must be that of the business time zone."
  }
  assert {
    condition     = one(google_cloud_scheduler_job.schedule[0].http_target).uri == "https://run.googleapis.com/v2/projects/example/locations/southamerica-east1/jobs/lavra-test-land:run"
    error_message = "The schedule must start this job."
  }
  assert {
    condition     = { for name, member in google_cloud_run_v2_job_iam_member.starters : "${member.role} ${member.member}" => name } == { "roles/run.invoker serviceAccount:scheduler@example.iam.gserviceaccount.com" = "scheduler" }
    error_message = "Only the scheduler's account may start the job, and do nothing else with it."
  }
  assert {
    condition     = one(one(one(google_cloud_run_v2_job.worker.template).template).vpc_access).egress == "PRIVATE_RANGES_ONLY"
    error_message = "The catalog's private address must be reached through the network."
  }
}
