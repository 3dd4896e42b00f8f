mock_provider "google" {}

run "refuses_wrong_values" {
  command = plan

  variables {
    github = { project_number = "acme", ref = "main", repository = "acme/lake", repository_id = "acme/lake" }
    prefix = "a-name-that-is-far-too-long"
  }
  expect_failures = [var.github, var.prefix]
}
