# A source database whose changes are followed: the aviation example's, or the pattern for one's own.
resource "google_sql_database_instance" "source" {
  project             = var.project_id
  name                = var.name
  database_version    = var.database_version
  deletion_protection = var.deletion_protection
  encryption_key_name = var.kms_key
  region              = var.region

  settings {
    availability_type           = "ZONAL"
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
      start_time                     = "05:00"
      transaction_log_retention_days = 7

      backup_retention_settings {
        retained_backups = 7
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

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network_id
      server_ca_mode  = "GOOGLE_MANAGED_INTERNAL_CA"
      ssl_mode        = "ENCRYPTED_ONLY"
    }
  }
}

resource "google_sql_database" "database" {
  project  = var.project_id
  name     = var.database
  instance = google_sql_database_instance.source.name

  # Postgres refuses to drop a database with a slot, or with someone in it; the instance goes with it.
  deletion_policy = "ABANDON"
}

locals {
  # Cloud SQL's name of wal_level = logical. A slot that nobody reads is given up before the disk is
  # full: its stream then begins anew.
  flags = merge(
    {
      "cloudsql.enable_pgaudit"   = "on"
      "cloudsql.logical_decoding" = "on"
      "log_checkpoints"           = "on"
      "log_connections"           = "on"
      "log_disconnections"        = "on"
      "log_duration"              = "off"
      "log_hostname"              = "off"
      "log_lock_waits"            = "on"
      "log_min_error_statement"   = "error"
      "log_min_messages"          = "warning"
      "log_statement"             = "ddl"
      "max_replication_slots"     = "10"
      "max_slot_wal_keep_size"    = tostring(var.slot_keeps_mb)
      "max_wal_senders"           = "10"
      "pgaudit.log"               = "ddl,role"
    },
    var.flags,
  )

  users = {
    generator   = "${var.database}_generator"
    replication = "${var.database}_replication"
  }
}
