mock_provider "google" {}

run "private_and_recoverable" {
  command = plan

  variables {
    flags             = { max_connections = "200" }
    high_availability = true
  }

  assert {
    condition     = one(one(google_sql_database_instance.catalog.settings).ip_configuration).ipv4_enabled == false
    error_message = "The catalog must have no public address."
  }
  assert {
    condition     = one(one(google_sql_database_instance.catalog.settings).ip_configuration).private_network == var.network_id
    error_message = "The catalog must be in the lake's network."
  }
  assert {
    condition     = one(one(google_sql_database_instance.catalog.settings).ip_configuration).ssl_mode == "ENCRYPTED_ONLY"
    error_message = "The catalog must refuse connections without TLS."
  }
  assert {
    condition     = one(one(google_sql_database_instance.catalog.settings).backup_configuration).enabled && one(one(google_sql_database_instance.catalog.settings).backup_configuration).point_in_time_recovery_enabled
    error_message = "The catalog must be restorable to a point in time."
  }
  assert {
    condition     = google_sql_database_instance.catalog.deletion_protection && one(google_sql_database_instance.catalog.settings).deletion_protection_enabled
    error_message = "The catalog must be protected from deletion by default."
  }
  assert {
    condition     = one(google_sql_database_instance.catalog.settings).retain_backups_on_delete
    error_message = "Backups must outlive the instance."
  }
  assert {
    condition     = one(google_sql_database_instance.catalog.settings).availability_type == "REGIONAL"
    error_message = "High availability must be had when asked for."
  }
  assert {
    condition     = { for flag in one(google_sql_database_instance.catalog.settings).database_flags : flag.name => flag.value }["cloudsql.iam_authentication"] == "on"
    error_message = "People must be able to log in with their Google account."
  }
  assert {
    condition     = { for flag in one(google_sql_database_instance.catalog.settings).database_flags : flag.name => flag.value }["max_connections"] == "200"
    error_message = "Further flags must reach the database."
  }
  assert {
    condition     = keys(google_sql_database.databases) == ["lavra", "superset"]
    error_message = "Superset's metadata must be in a database of its own."
  }
  assert {
    condition     = { for part, member in google_secret_manager_secret_iam_member.urls : member.secret_id => member.member } == { for part, email in var.service_accounts : "lavra-test-catalog-url-${part}" => "serviceAccount:${email}" }
    error_message = "Each part must read its own URL and no other's."
  }
  assert {
    condition     = alltrue([for member in values(google_secret_manager_secret_iam_member.urls) : member.role == "roles/secretmanager.secretAccessor"])
    error_message = "The parts read secrets, they do not write them."
  }
}
