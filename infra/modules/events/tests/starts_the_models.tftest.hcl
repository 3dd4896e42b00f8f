mock_provider "google" {}

run "starts_the_models" {
  command = plan

  assert {
    condition     = google_storage_notification.landed.bucket == "acme-lavra-test" && google_storage_notification.landed.object_name_prefix == "bronze/" && join(",", google_storage_notification.landed.event_types) == "OBJECT_FINALIZE"
    error_message = "Only files that land must be told, not what the models write."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.bucket.role == "roles/pubsub.publisher" && google_pubsub_topic_iam_member.bucket.member == "serviceAccount:service-123@gs-project-accounts.iam.gserviceaccount.com"
    error_message = "Cloud Storage must be able to tell the topic, and nothing else."
  }
  assert {
    condition     = join(",", one(google_pubsub_topic.landed.message_storage_policy).allowed_persistence_regions) == "southamerica-east1"
    error_message = "What is told must stay in the lake's region."
  }
  assert {
    condition     = strcontains(google_workflows_workflow.start.source_contents, "projects/example/locations/southamerica-east1/jobs/lavra-test-run-models")
    error_message = "The workflow must start the job."
  }
  assert {
    condition     = yamldecode(google_workflows_workflow.start.source_contents).main.steps[1].settle.args.seconds == 20
    error_message = "What lands together must be run together."
  }
  assert {
    condition     = google_eventarc_trigger.landed.service_account == var.service_account && google_workflows_workflow.start.service_account == var.service_account
    error_message = "Trigger and workflow must run as the account that may start the job."
  }
  assert {
    condition     = google_project_iam_member.workflow.role == "roles/workflows.invoker"
    error_message = "The account must start workflows and not write them."
  }
  assert {
    condition     = google_cloud_run_v2_job_iam_member.start.role == "roles/run.invoker" && google_cloud_run_v2_job_iam_member.look.role == "roles/run.viewer"
    error_message = "The account must start the job and look at it, and not change it."
  }
}
