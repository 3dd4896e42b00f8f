# The range in which Cloud SQL gets its private address.
resource "google_compute_global_address" "private_services" {
  project       = var.project_id
  name          = "${var.name}-private-services"
  address_type  = "INTERNAL"
  network       = google_compute_network.this.id
  prefix_length = var.private_services_prefix_length
  purpose       = "VPC_PEERING"
}

resource "google_service_networking_connection" "private_services" {
  network                 = google_compute_network.this.id
  reserved_peering_ranges = [google_compute_global_address.private_services.name]
  service                 = "servicenetworking.googleapis.com"

  # Google keeps the peering busy for days after the last Cloud SQL instance is gone; without
  # this, `terraform destroy` fails on it.
  deletion_policy = "ABANDON"
}
