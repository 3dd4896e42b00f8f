output "credentials" {
  description = "What infra/bin/source_credentials.py asks for."
  value = {
    ca_secret  = google_secret_manager_secret.own["ca"].secret_id
    database   = google_sql_database.database.name
    host       = google_sql_database_instance.source.private_ip_address
    instance   = google_sql_database_instance.source.name
    project_id = var.project_id
    roles      = local.users
    secrets = {
      generator_token      = google_secret_manager_secret.own["generator-token"].secret_id
      generator_url        = google_secret_manager_secret.own["generator-url"].secret_id
      replication_password = google_secret_manager_secret.own["replication-password"].secret_id
    }
  }
}

output "generator_url" {
  description = "Where the generator is reached: POST <url>/generate?n=50. Null without its image."
  value       = one(google_cloud_run_v2_service.generator[*].uri)
}

output "instance" {
  description = "Name of the instance."
  value       = google_sql_database_instance.source.name
}

output "secrets" {
  description = "What the stream refers to and is a secret: name => secret. Known once the followers may read it."
  value       = { "${var.variables}_PASSWORD" = google_secret_manager_secret.own["replication-password"].secret_id }
  depends_on  = [google_secret_manager_secret_iam_member.followers]
}

output "slot_keeps_mb" {
  description = "Log, in MB, that a slot which nobody reads may keep."
  value       = var.slot_keeps_mb
}

output "sources" {
  description = "What the stream refers to and is no secret: name => value."
  value = {
    "${var.variables}_DATABASE" = google_sql_database.database.name
    "${var.variables}_HOST"     = google_sql_database_instance.source.private_ip_address
    "${var.variables}_SSL_MODE" = "require"
    "${var.variables}_USERNAME" = local.users.replication
  }
}
