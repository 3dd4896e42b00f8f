output "network_id" {
  description = "The network, as Cloud SQL takes it. Known only once the peering stands."
  value       = google_compute_network.this.id
  depends_on  = [google_service_networking_connection.private_services]
}

output "vpc" {
  description = "Network and subnetwork, as the modules of Cloud Run services and jobs take them."
  value = {
    network    = google_compute_network.this.name
    subnetwork = google_compute_subnetwork.run.name
  }
}
