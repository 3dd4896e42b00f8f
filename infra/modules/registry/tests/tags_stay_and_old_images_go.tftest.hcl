mock_provider "google" {}

run "tags_stay_and_old_images_go" {
  command = plan

  assert {
    condition     = one(google_artifact_registry_repository.images.docker_config).immutable_tags == true
    error_message = "A tag must always name the same image."
  }
  assert {
    condition     = toset([for policy in google_artifact_registry_repository.images.cleanup_policies : "${policy.id} ${policy.action}"]) == toset(["keep-recent KEEP", "delete-old DELETE"])
    error_message = "Old images must be deleted, and recent ones kept."
  }
  assert {
    condition     = [for member in google_artifact_registry_repository_iam_member.writers : member.role] == ["roles/artifactregistry.writer"]
    error_message = "Who pushes images must not administer the registry."
  }
  assert {
    condition     = output.url == "southamerica-east1-docker.pkg.dev/example/lavra-test"
    error_message = "The URL must be what docker push takes."
  }
}
