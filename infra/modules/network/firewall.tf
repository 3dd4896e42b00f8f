# Nothing listens in this network but Google's own services behind the peering; refusing what
# comes in is said outright, and logged, rather than left to the implied rule.
resource "google_compute_firewall" "deny_ingress" {
  project       = var.project_id
  name          = "${var.name}-deny-ingress"
  description   = "Refuse all that comes in."
  direction     = "INGRESS"
  network       = google_compute_network.this.id
  priority      = 65000
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}
