resource "google_pubsub_topic" "arrived" {
  project = var.project_id
  name    = "${var.name}-arrived"
  labels  = var.labels

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_storage_notification" "arrived" {
  for_each = var.prefixes

  bucket             = var.bucket
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = each.key
  payload_format     = "JSON_API_V1"
  topic              = google_pubsub_topic.arrived.id
  depends_on         = [google_pubsub_topic_iam_member.bucket]
}

# What is not answered comes again, for a week, after longer and longer waits.
resource "google_pubsub_subscription" "push" {
  project = var.project_id
  name    = "${var.name}-arrived"
  labels  = var.labels
  topic   = google_pubsub_topic.arrived.id

  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${google_cloud_run_v2_service.receiver.uri}/"

    oidc_token {
      audience              = local.audience
      service_account_email = local.pusher
    }
  }

  retry_policy {
    maximum_backoff = "600s"
    minimum_backoff = "10s"
  }
}
