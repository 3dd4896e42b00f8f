output "topic" {
  description = "The topic on which landed files are told, for other subscribers."
  value       = google_pubsub_topic.landed.id
}
