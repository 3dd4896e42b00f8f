output "bucket" {
  description = "Name of the lake's bucket."
  value       = google_storage_bucket.lake.name
}

output "lake_url" {
  description = "The lake's URL, for LAVRA_LAKE_URL."
  value       = "gs://${google_storage_bucket.lake.name}"
}
