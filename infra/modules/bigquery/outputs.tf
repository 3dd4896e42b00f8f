output "tables" {
  description = "The tables, as BigQuery names them: schema.table => project.dataset.table."
  value       = { for name, table in google_bigquery_table.gold : name => "${var.project_id}.${table.dataset_id}.${table.table_id}" }
}
