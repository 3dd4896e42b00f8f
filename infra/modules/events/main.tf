# A file that landed starts the models' job: bucket -> Pub/Sub -> Eventarc -> workflow -> job.
resource "google_pubsub_topic" "landed" {
  project = var.project_id
  name    = "${var.name}-landed"
  labels  = var.labels

  message_retention_duration = "86400s"
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_storage_notification" "landed" {
  bucket             = var.bucket
  event_types        = ["OBJECT_FINALIZE"]
  object_name_prefix = var.prefix
  payload_format     = "JSON_API_V1"
  topic              = google_pubsub_topic.landed.id
  depends_on         = [google_pubsub_topic_iam_member.bucket]
}

resource "google_eventarc_trigger" "landed" {
  project         = var.project_id
  name            = "${var.name}-landed"
  labels          = var.labels
  location        = var.region
  service_account = var.service_account

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.pubsub.topic.v1.messagePublished"
  }

  destination {
    workflow = google_workflows_workflow.start.id
  }

  transport {
    pubsub {
      topic = google_pubsub_topic.landed.id
    }
  }
}

resource "google_workflows_workflow" "start" {
  project             = var.project_id
  name                = "${var.name}-landed"
  deletion_protection = false
  description         = "Starts ${var.job} after a file has landed, once for all that land together."
  labels              = var.labels
  region              = var.region
  service_account     = var.service_account
  source_contents = templatefile("${path.module}/start.yaml", {
    job      = "projects/${var.project_id}/locations/${var.region}/jobs/${var.job}"
    patience = var.patience
    settle_s = var.settle_s
  })
}
