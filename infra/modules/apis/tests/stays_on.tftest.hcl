mock_provider "google" {}

run "stays_on" {
  command = plan

  assert {
    condition     = alltrue([for api in google_project_service.apis : api.disable_on_destroy == false])
    error_message = "terraform destroy must not turn an API off that others use."
  }
  assert {
    condition     = contains(keys(google_project_service.apis), "run.googleapis.com")
    error_message = "What the modules need must be on."
  }
}
