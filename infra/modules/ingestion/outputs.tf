output "account" {
  description = "Address of the account for which the HMAC key is made: gcloud storage hmac create <account>."
  value       = local.address
}

output "secrets" {
  description = "Settings of the jobs that are secrets: LAVRA_<NAME> => secret. Known once the drivers may read them."
  value       = { LAVRA_AIRBYTE_CLIENT_SECRET = google_secret_manager_secret.own["client-secret"].secret_id }
  depends_on  = [google_secret_manager_secret_iam_member.drivers]
}

output "settings" {
  description = "Settings of the jobs that drive Airbyte: LAVRA_<NAME> => value."
  value = {
    LAVRA_AIRBYTE_CLIENT_ID    = var.airbyte.client_id
    LAVRA_AIRBYTE_URL          = var.airbyte.url
    LAVRA_AIRBYTE_WORKSPACE_ID = var.airbyte.workspace_id
  }
}
