mock_provider "google" {}

run "closed_probed_and_limited" {
  command = plan

  variables {
    invokers  = { superset = "serviceAccount:superset@example.iam.gserviceaccount.com" }
    resources = { cache_gib = 3, memory_gib = 6 }
    scaling   = { max_instances = 3 }
    settings  = { LAVRA_TIME_ZONE = "America/Sao_Paulo" }
  }

  assert {
    condition     = google_cloud_run_v2_service.query.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "The service must not be reachable from the internet by default."
  }
  assert {
    condition     = google_cloud_run_v2_service.query.invoker_iam_disabled == false
    error_message = "Callers must prove who they are by default."
  }
  assert {
    condition     = [for member in google_cloud_run_v2_service_iam_member.invokers : "${member.role} ${member.member}"] == ["roles/run.invoker serviceAccount:superset@example.iam.gserviceaccount.com"]
    error_message = "Only the named invokers may call."
  }
  assert {
    condition     = one(google_cloud_run_v2_service.query.template).service_account == var.service_account
    error_message = "The service must run as its own account."
  }
  assert {
    condition     = one(one(one(one(google_cloud_run_v2_service.query.template).containers).startup_probe).http_get).path == "/readyz"
    error_message = "An instance must get no requests before its snapshot is loaded."
  }
  assert {
    condition     = one(one(one(one(google_cloud_run_v2_service.query.template).containers).liveness_probe).http_get).path == "/healthz"
    error_message = "A service that hangs must be restarted."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.query.template).scaling).max_instance_count == 3 && one(one(google_cloud_run_v2_service.query.template).scaling).min_instance_count == 0
    error_message = "Instances must be limited, and none kept by default."
  }
  assert {
    condition     = one(one(one(google_cloud_run_v2_service.query.template).containers).resources).limits == tomap({ cpu = "2", memory = "6Gi" })
    error_message = "CPU and memory must be limited."
  }
  assert {
    condition     = one([for volume in one(google_cloud_run_v2_service.query.template).volumes : one(volume.empty_dir) if volume.name == "state"]).medium == "MEMORY" && one([for volume in one(google_cloud_run_v2_service.query.template).volumes : one(volume.empty_dir) if volume.name == "state"]).size_limit == "3Gi"
    error_message = "The cache must be in memory, and limited."
  }
  assert {
    condition     = one([for mount in one(one(google_cloud_run_v2_service.query.template).containers).volume_mounts : mount.mount_path if mount.name == "state"]) == one([for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.value if env.name == "LAVRA_STATE_DIR"])
    error_message = "The service must keep its state in the in-memory volume: the rest is read-only."
  }
  assert {
    condition     = one([for env in one(one(google_cloud_run_v2_service.query.template).containers).env : one(one(env.value_source).secret_key_ref).secret if env.name == "LAVRA_CATALOG_URL"]) == "lavra-test-catalog-url-service"
    error_message = "The catalog's URL must come from its secret."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.name => env.value }["LAVRA_SERVICE_HOST"] == "0.0.0.0" && { for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.name => env.value }["LAVRA_SERVICE_PORT"] == tostring(one(one(one(google_cloud_run_v2_service.query.template).containers).ports).container_port)
    error_message = "The service must listen where Cloud Run asks."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.name => env.value }["LAVRA_SERVICE_ENGINES"] == "2" && { for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.name => env.value }["LAVRA_SERVICE_QUERY_MEMORY_MB"] == "1024"
    error_message = "The queries must fit in what the cache leaves: 6 GiB less 3 less 1, by two."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.name => env.value }["LAVRA_SERVICE_CACHE_MB"] == "1536" && { for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.name => env.value }["LAVRA_SERVICE_RESTRICTED_MB"] == "614"
    error_message = "The tables and what rules leave of them must fit in the in-memory volume."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.query.template).containers).env : env.name => env.value }["LAVRA_TIME_ZONE"] == "America/Sao_Paulo"
    error_message = "Further settings must reach the service."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.query.template).vpc_access).egress == "PRIVATE_RANGES_ONLY"
    error_message = "The catalog's private address must be reached through the network."
  }
  assert {
    condition     = google_cloud_run_v2_service.query.deletion_protection == true
    error_message = "The service must be protected from deletion by default."
  }
}
