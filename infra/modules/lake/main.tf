resource "google_storage_bucket" "lake" {
  project                     = var.project_id
  name                        = var.name
  force_destroy               = var.force_destroy
  labels                      = var.labels
  location                    = var.location
  public_access_prevention    = "enforced"
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true

  # A file that is deleted or overwritten can be had back for `recovery_days`: versions serve a
  # restore to one point in time together with the catalog, soft delete serves the deleted bucket.
  soft_delete_policy {
    retention_duration_seconds = 86400 * var.recovery_days
  }

  versioning {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = var.recovery_days
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  # Landed files are kept for audits and re-runs, and hardly read once the models have them.
  dynamic "lifecycle_rule" {
    for_each = var.bronze_nearline_after_days == null ? [] : [var.bronze_nearline_after_days]
    content {
      action {
        type          = "SetStorageClass"
        storage_class = "NEARLINE"
      }
      condition {
        age                   = lifecycle_rule.value
        matches_prefix        = ["bronze/"]
        matches_storage_class = ["STANDARD"]
        with_state            = "LIVE"
      }
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      default_kms_key_name = encryption.value
    }
  }

  dynamic "logging" {
    for_each = var.access_log_bucket == null ? [] : [var.access_log_bucket]
    content {
      log_bucket        = logging.value
      log_object_prefix = var.name
    }
  }
}
