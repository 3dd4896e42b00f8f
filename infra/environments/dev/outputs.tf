output "airbyte_account" {
  description = "The account for which Airbyte's HMAC key is made. Null without Airbyte."
  value       = module.stack.airbyte_account
}

output "bigquery_tables" {
  description = "The tables in BigQuery: schema.table => project.dataset.table. Null without any."
  value       = module.stack.bigquery_tables
}

output "catalog_credentials" {
  description = "What infra/bin/catalog_credentials.py asks for."
  value       = module.stack.catalog_credentials
}

output "github_provider" {
  description = "The `workload_identity_provider` of google-github-actions/auth. Null without GitHub."
  value       = module.stack.github_provider
}

output "images" {
  description = "The images that run, by digest: what a rollback, or the next deployment's first half, starts from."
  value       = var.images
}

output "jobs" {
  description = "The Cloud Run jobs: what they do => their name."
  value       = module.stack.jobs
}

output "lake_url" {
  description = "The lake's URL: LAVRA_LAKE_URL."
  value       = module.stack.lake_url
}

output "registry_url" {
  description = "What the images' names start with."
  value       = module.stack.registry_url
}

output "service_url" {
  description = "Where the query service is reached: LAVRA_SERVICE_URL. Null without its image."
  value       = module.stack.service_url
}

output "source_credentials" {
  description = "What infra/bin/source_credentials.py asks for. Null without a source of one's own."
  value       = module.stack.source_credentials
}

output "superset" {
  description = "Superset: its `url`, its `bootstrap_job`, and its own `secrets`, which want values. Null without its image."
  value       = module.stack.superset
}
