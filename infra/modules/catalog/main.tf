resource "google_sql_database_instance" "catalog" {
  project             = var.project_id
  name                = var.name
  database_version    = var.database_version
  deletion_protection = var.deletion_protection
  encryption_key_name = var.kms_key
  region              = var.region

  settings {
    availability_type           = var.high_availability ? "REGIONAL" : "ZONAL"
    deletion_protection_enabled = var.deletion_protection
    disk_autoresize             = true
    disk_autoresize_limit       = var.disk.max_gb
    disk_size                   = var.disk.initial_gb
    disk_type                   = "PD_SSD"
    edition                     = "ENTERPRISE"
    retain_backups_on_delete    = true
    tier                        = var.tier
    user_labels                 = var.labels

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      start_time                     = var.backup.start_time
      transaction_log_retention_days = var.backup.recovery_days

      backup_retention_settings {
        retained_backups = var.backup.retained
        retention_unit   = "COUNT"
      }
    }

    dynamic "database_flags" {
      for_each = local.flags
      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }

    insights_config {
      query_insights_enabled  = true
      query_string_length     = 1024
      record_application_tags = false
      record_client_address   = false
    }

    # A private address only, and TLS only: there is no way in from the internet. The authority is
    # the instance's own, whose certificate the parts check.
    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network_id
      server_ca_mode  = "GOOGLE_MANAGED_INTERNAL_CA"
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    maintenance_window {
      day          = var.maintenance.day
      hour         = var.maintenance.hour_utc
      update_track = "stable"
    }
  }
}

locals {
  # People may log in with their Google account; all that changes structure or access is logged.
  flags = merge(
    {
      "cloudsql.enable_pgaudit"     = "on"
      "cloudsql.iam_authentication" = "on"
      "log_checkpoints"             = "on"
      "log_connections"             = "on"
      "log_disconnections"          = "on"
      "log_duration"                = "off"
      "log_hostname"                = "off"
      "log_lock_waits"              = "on"
      "log_min_error_statement"     = "error"
      "log_min_messages"            = "warning"
      "log_statement"               = "ddl"
      "log_temp_files"              = "0"
      "pgaudit.log"                 = "ddl,role"
    },
    var.flags,
  )
}

resource "google_sql_database" "databases" {
  for_each = toset(["lavra", "superset"])

  project  = var.project_id
  name     = each.key
  instance = google_sql_database_instance.catalog.name

  # Postgres refuses to drop a database that someone is connected to; the instance goes with it.
  deletion_policy = "ABANDON"
}
