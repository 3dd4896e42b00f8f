mock_provider "google" {}

run "closed_and_told_by_secrets" {
  command = plan

  variables {
    invokers = { analysts = "group:analysts@example.com" }
    starters = { deployer = "serviceAccount:deployer@example.iam.gserviceaccount.com" }
  }

  assert {
    condition     = google_cloud_run_v2_service.superset.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && google_cloud_run_v2_service.superset.invoker_iam_disabled == false
    error_message = "Superset must be closed by default."
  }
  assert {
    condition     = [for member in google_cloud_run_v2_service_iam_member.invokers : "${member.role} ${member.member}"] == ["roles/run.invoker group:analysts@example.com"]
    error_message = "Only the named invokers may come."
  }
  assert {
    condition     = [for member in google_cloud_run_v2_job_iam_member.starters : "${member.role} ${member.member}"] == ["roles/run.invoker serviceAccount:deployer@example.iam.gserviceaccount.com"]
    error_message = "Only the named starters may bring dashboards."
  }
  assert {
    condition     = one(google_cloud_run_v2_service.superset.template).service_account == var.service_account && one(one(google_cloud_run_v2_job.bootstrap.template).template).service_account == var.service_account
    error_message = "Service and bootstrap must run as Superset's own account."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_job.bootstrap.template).template).containers[0].image == one(one(google_cloud_run_v2_service.superset.template).containers).image
    error_message = "What prepares the metadata must be what serves it."
  }
  assert {
    condition     = one(one(one(google_cloud_run_v2_job.bootstrap.template).template).containers).command == tolist(["lavra", "dashboards", "import"])
    error_message = "The bootstrap must import the dashboards."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.superset.template).containers).env : env.name => one(one(env.value_source).secret_key_ref).secret if length(env.value_source) > 0 } == { LAVRA_CATALOG_URL = "lavra-test-catalog-url-superset", LAVRA_SUPERSET_ADMIN_PASSWORD = "lavra-test-superset-admin-password", LAVRA_SUPERSET_SECRET_KEY = "lavra-test-superset-secret-key", LAVRA_SUPERSET_SIGNING_SECRET = "lavra-test-superset-signing-secret" }
    error_message = "What is secret must come from Secret Manager."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.superset.template).containers).env : env.name => env.value if length(env.value_source) == 0 } == { LAVRA_SERVICE_URL = "https://service.example.run.app", LAVRA_STATE_DIR = "/var/lavra", LAVRA_SUPERSET_HOST = "0.0.0.0", LAVRA_SUPERSET_PORT = "8088", LAVRA_SUPERSET_SERVICE_AUTH = "google" }
    error_message = "Superset must be told where the service is, and how to get past its guard."
  }
  assert {
    condition     = toset([for member in google_secret_manager_secret_iam_member.own : "${member.role} ${member.member}"]) == toset(["roles/secretmanager.secretAccessor serviceAccount:superset@example.iam.gserviceaccount.com"])
    error_message = "Superset must read its own secrets, and not change them."
  }
  assert {
    condition     = one(one(one(one(google_cloud_run_v2_service.superset.template).containers).startup_probe).http_get).path == "/health" && one(one(one(one(google_cloud_run_v2_service.superset.template).containers).liveness_probe).http_get).path == "/health"
    error_message = "An instance must be up before it gets requests, and restarted when it hangs."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.superset.template).scaling).max_instance_count == 2 && one(one(google_cloud_run_v2_service.superset.template).scaling).min_instance_count == 0
    error_message = "Instances must be limited, and none kept by default."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.superset.template).vpc_access).egress == "ALL_TRAFFIC"
    error_message = "A service with internal ingress is reached only through the network."
  }
}
