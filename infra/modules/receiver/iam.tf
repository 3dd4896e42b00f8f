# The account that Pub/Sub pushes as. It has no role anywhere: the receiver knows it by its name.
resource "google_service_account" "pusher" {
  project      = var.project_id
  account_id   = "${var.name}-push"
  description  = "Tells ${var.name} what has arrived."
  display_name = "Lavra push (${var.name})"
}

resource "google_pubsub_topic_iam_member" "bucket" {
  project = var.project_id
  member  = "serviceAccount:service-${var.project_number}@gs-project-accounts.iam.gserviceaccount.com"
  role    = "roles/pubsub.publisher"
  topic   = google_pubsub_topic.arrived.name
}

locals {
  pusher = "${google_service_account.pusher.account_id}@${var.project_id}.iam.gserviceaccount.com"
}
