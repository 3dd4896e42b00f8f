# Cloud Storage's own account tells the topic; the trigger's account starts the workflow and the job.
resource "google_pubsub_topic_iam_member" "bucket" {
  project = var.project_id
  member  = "serviceAccount:service-${var.project_number}@gs-project-accounts.iam.gserviceaccount.com"
  role    = "roles/pubsub.publisher"
  topic   = google_pubsub_topic.landed.name
}

# Workflows has no roles on a single workflow; the project's only one is ours.
resource "google_project_iam_member" "workflow" {
  project = var.project_id
  member  = "serviceAccount:${var.service_account}"
  role    = "roles/workflows.invoker"
}

resource "google_cloud_run_v2_job_iam_member" "start" {
  project  = var.project_id
  location = var.region
  member   = "serviceAccount:${var.service_account}"
  name     = var.job
  role     = "roles/run.invoker"
}

# To see whether one runs already.
resource "google_cloud_run_v2_job_iam_member" "look" {
  project  = var.project_id
  location = var.region
  member   = "serviceAccount:${var.service_account}"
  name     = var.job
  role     = "roles/run.viewer"
}
