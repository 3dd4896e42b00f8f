mock_provider "google" {}

run "followed_and_closed" {
  command = plan

  variables {
    callers   = { me = "user:me@example.com" }
    flags     = { max_connections = "200" }
    followers = { worker = "worker@example.iam.gserviceaccount.com" }
  }

  assert {
    condition     = { for flag in one(google_sql_database_instance.source.settings).database_flags : flag.name => flag.value }["cloudsql.logical_decoding"] == "on"
    error_message = "The source must write what logical replication needs."
  }
  assert {
    condition     = { for flag in one(google_sql_database_instance.source.settings).database_flags : flag.name => flag.value }["max_slot_wal_keep_size"] == "8192"
    error_message = "A slot that nobody reads must not fill the source's disk."
  }
  assert {
    condition     = { for flag in one(google_sql_database_instance.source.settings).database_flags : flag.name => flag.value }["max_connections"] == "200"
    error_message = "Further flags must reach the database."
  }
  assert {
    condition     = one(one(google_sql_database_instance.source.settings).ip_configuration).ipv4_enabled == false && one(one(google_sql_database_instance.source.settings).ip_configuration).private_network == var.network_id
    error_message = "The source must have a private address only."
  }
  assert {
    condition     = one(one(google_sql_database_instance.source.settings).ip_configuration).ssl_mode == "ENCRYPTED_ONLY"
    error_message = "The source must refuse connections without TLS."
  }
  assert {
    condition     = one(one(google_sql_database_instance.source.settings).backup_configuration).point_in_time_recovery_enabled && one(google_sql_database_instance.source.settings).retain_backups_on_delete
    error_message = "The source must be restorable to a point in time, after its deletion too."
  }
  assert {
    condition     = google_sql_database_instance.source.deletion_protection && one(google_sql_database_instance.source.settings).deletion_protection_enabled
    error_message = "The source must be protected from deletion by default."
  }
  assert {
    condition     = google_sql_database.database.name == "fleet" && google_sql_database.database.deletion_policy == "ABANDON"
    error_message = "terraform destroy must not try to drop a database that has a slot."
  }
  assert {
    condition     = { for name, member in google_secret_manager_secret_iam_member.followers : member.secret_id => "${member.role} ${member.member}" } == { "lavra-test-fleet-replication-password" = "roles/secretmanager.secretAccessor serviceAccount:worker@example.iam.gserviceaccount.com" }
    error_message = "Who follows the changes must read the replication user's password, and nothing else."
  }
  assert {
    condition     = { for name, member in google_secret_manager_secret_iam_member.generator : member.secret_id => "${member.role} ${member.member}" } == { for secret in ["ca", "generator-token", "generator-url"] : "lavra-test-fleet-${secret}" => "roles/secretmanager.secretAccessor serviceAccount:lavra-test-fleet-gen@example.iam.gserviceaccount.com" }
    error_message = "The generator must read its own secrets, and not the replication user's."
  }
  assert {
    condition     = google_cloud_run_v2_service.generator[0].ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "The generator must not be reachable from the internet."
  }
  assert {
    condition     = one(google_cloud_run_v2_service.generator[0].template).service_account == "lavra-test-fleet-gen@example.iam.gserviceaccount.com"
    error_message = "The generator must run as its own account, not as the lake's."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.generator[0].template).containers).command == tolist(["python", "-m", "lavra.workloads.aviation"])
    error_message = "The generator must be what runs."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.generator[0].template).containers).env : env.name => one(one(env.value_source).secret_key_ref).secret if length(env.value_source) > 0 } == { LAVRA_GENERATOR_DATABASE_URL = "lavra-test-fleet-generator-url", LAVRA_GENERATOR_TOKEN = "lavra-test-fleet-generator-token" }
    error_message = "Token and database's URL must come from Secret Manager."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.generator[0].template).containers).env : env.name => env.value if length(env.value_source) == 0 } == { LAVRA_GENERATOR_HOST = "0.0.0.0", LAVRA_GENERATOR_PORT = "8090", LAVRA_GENERATOR_RATE = "0", LAVRA_STATE_DIR = "/var/lavra" }
    error_message = "The generator must listen where Cloud Run asks."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.generator[0].template).scaling).min_instance_count == 0 && one(one(google_cloud_run_v2_service.generator[0].template).scaling).max_instance_count == 1
    error_message = "An idle generator must cost nothing, and a busy one be one."
  }
  assert {
    condition     = { for name, member in google_cloud_run_v2_service_iam_member.callers : member.member => member.role } == { "user:me@example.com" = "roles/run.invoker" }
    error_message = "Only the named callers may call, and do nothing else."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.generator[0].template).vpc_access).egress == "PRIVATE_RANGES_ONLY"
    error_message = "The source's private address must be reached through the network."
  }
  assert {
    condition     = keys(output.sources) == ["AVIATION_DATABASE", "AVIATION_HOST", "AVIATION_SSL_MODE", "AVIATION_USERNAME"] && output.sources.AVIATION_USERNAME == "fleet_replication" && output.sources.AVIATION_SSL_MODE == "require" && output.secrets == { AVIATION_PASSWORD = "lavra-test-fleet-replication-password" }
    error_message = "The stream must be told where its source is."
  }
}
