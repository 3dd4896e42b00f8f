mock_provider "google" {}

run "without_schedule" {
  command = plan

  assert {
    condition     = length(google_cloud_scheduler_job.schedule) == 0 && length(google_cloud_run_v2_job_iam_member.starters) == 0
    error_message = "Without a schedule nobody may start the job but its project's administrators."
  }
}
