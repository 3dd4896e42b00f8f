# Slots outlive whoever read them, and fill the source's disk. So what is destroyed, or turned off,
# drops them: after the pool, which would make them anew, and before all that the job needs.
resource "terraform_data" "slots" {
  input = {
    job        = var.teardown_job
    project_id = var.project_id
    region     = var.region
  }

  provisioner "local-exec" {
    when    = destroy
    command = "gcloud run jobs execute \"$JOB\" --project=\"$PROJECT_ID\" --region=\"$REGION\" --wait --quiet"

    environment = {
      JOB        = self.input.job
      PROJECT_ID = self.input.project_id
      REGION     = self.input.region
    }
  }
}
