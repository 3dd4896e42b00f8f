output "name" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.receiver.name
}

output "topic" {
  description = "The topic that tells the receiver: notifications of other buckets may go there too."
  value       = google_pubsub_topic.arrived.id
}
