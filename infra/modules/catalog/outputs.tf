output "ca_secret" {
  description = "Secret with the certificate of the server's authority."
  value       = google_secret_manager_secret.ca.secret_id
}

output "credentials" {
  description = "What infra/bin/catalog_credentials.py asks for."
  value = {
    ca_secret  = google_secret_manager_secret.ca.secret_id
    host       = google_sql_database_instance.catalog.private_ip_address
    instance   = google_sql_database_instance.catalog.name
    project_id = var.project_id
    users = {
      for part, user in local.users : part => {
        database = user.database
        role     = user.role
        secret   = google_secret_manager_secret.urls[part].secret_id
      }
    }
  }
}

output "instance" {
  description = "Name of the instance."
  value       = google_sql_database_instance.catalog.name
}

output "url_secrets" {
  description = "Secrets with each part's URL of the catalog, for LAVRA_CATALOG_URL: part => secret. Known once the parts may read them."
  value       = { for part, secret in google_secret_manager_secret.urls : part => secret.secret_id }
  depends_on  = [google_secret_manager_secret_iam_member.urls, google_secret_manager_secret_iam_member.ca]
}
