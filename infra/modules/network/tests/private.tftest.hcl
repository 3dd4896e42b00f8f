mock_provider "google" {}

run "private" {
  command = plan

  assert {
    condition     = google_compute_network.this.auto_create_subnetworks == false
    error_message = "The network must hold only the subnet that is declared."
  }
  assert {
    condition     = google_compute_subnetwork.run.private_ip_google_access == true
    error_message = "Cloud Run must reach Google's services, and internal services, privately."
  }
  assert {
    condition     = google_compute_firewall.deny_ingress.direction == "INGRESS" && one(google_compute_firewall.deny_ingress.deny).protocol == "all" && length(google_compute_firewall.deny_ingress.allow) == 0
    error_message = "The network must refuse all that comes in."
  }
  assert {
    condition     = google_compute_global_address.private_services.purpose == "VPC_PEERING" && google_compute_global_address.private_services.address_type == "INTERNAL"
    error_message = "Cloud SQL's range must be private."
  }
  assert {
    condition     = google_service_networking_connection.private_services.deletion_policy == "ABANDON"
    error_message = "terraform destroy must not wait for Google to let go of the peering."
  }
}
