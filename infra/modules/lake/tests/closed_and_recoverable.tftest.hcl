mock_provider "google" {}

run "closed_and_recoverable" {
  command = plan

  variables {
    bronze_nearline_after_days = 90
    kms_key                    = "projects/example/locations/southamerica-east1/keyRings/lavra/cryptoKeys/lake"
    recovery_days              = 14
  }

  assert {
    condition     = google_storage_bucket.lake.public_access_prevention == "enforced"
    error_message = "The bucket must refuse to become public."
  }
  assert {
    condition     = google_storage_bucket.lake.uniform_bucket_level_access == true
    error_message = "Access must be the bucket's, never a single object's."
  }
  assert {
    condition     = google_storage_bucket.lake.force_destroy == false
    error_message = "terraform destroy must keep the data unless asked."
  }
  assert {
    condition     = one(google_storage_bucket.lake.versioning).enabled == true
    error_message = "Deleted files must be recoverable."
  }
  assert {
    condition     = one(google_storage_bucket.lake.soft_delete_policy).retention_duration_seconds == 14 * 24 * 3600
    error_message = "Soft delete must cover the recovery days."
  }
  assert {
    condition = one([
      for rule in google_storage_bucket.lake.lifecycle_rule : one(rule.condition).days_since_noncurrent_time
      if one(rule.action).type == "Delete"
    ]) == 14
    error_message = "Only versions older than the recovery days may be deleted."
  }
  assert {
    condition = one([
      for rule in google_storage_bucket.lake.lifecycle_rule : join(",", one(rule.condition).matches_prefix)
      if one(rule.action).type == "SetStorageClass"
    ]) == "bronze/"
    error_message = "Only landed files may move to Nearline: the service reads the others."
  }
  assert {
    condition     = one(google_storage_bucket.lake.encryption).default_kms_key_name == var.kms_key
    error_message = "A key of one's own must be used when given."
  }
  assert {
    condition     = [for member in google_storage_bucket_iam_member.readers : member.role] == ["roles/storage.objectViewer"]
    error_message = "Readers must only read."
  }
  assert {
    condition     = [for member in google_storage_bucket_iam_member.writers : member.role] == ["roles/storage.objectUser"]
    error_message = "Writers must not administer the bucket."
  }
  assert {
    condition     = output.lake_url == "gs://acme-lavra-test"
    error_message = "The URL must be one that LAVRA_LAKE_URL takes."
  }
}
