# Schema, roles, administrator and dashboards, from the project in the image: run after each deploy.
resource "google_cloud_run_v2_job" "bootstrap" {
  project             = var.project_id
  name                = "${var.name}-bootstrap"
  deletion_protection = false
  labels              = var.labels
  location            = var.region

  template {
    labels      = var.labels
    parallelism = 1
    task_count  = 1

    template {
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      max_retries           = 1
      service_account       = var.service_account
      timeout               = "900s"

      containers {
        name    = "bootstrap"
        image   = var.image
        command = ["lavra", "dashboards", "import"]

        dynamic "env" {
          for_each = local.environment
          content {
            name  = env.key
            value = env.value
          }
        }

        dynamic "env" {
          for_each = local.secrets
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = env.value
                version = "latest"
              }
            }
          }
        }

        resources {
          limits = local.limits
        }

        volume_mounts {
          name       = "state"
          mount_path = local.state_dir
        }

        volume_mounts {
          name       = "catalog-ca"
          mount_path = "/etc/lavra/catalog"
        }
      }

      volumes {
        name = "state"
        empty_dir {
          medium     = "MEMORY"
          size_limit = "512Mi"
        }
      }

      volumes {
        name = "catalog-ca"
        secret {
          secret = var.catalog.ca_secret
          items {
            path    = "ca.pem"
            version = "latest"
          }
        }
      }

      vpc_access {
        egress = "ALL_TRAFFIC"
        network_interfaces {
          network    = var.vpc.network
          subnetwork = var.vpc.subnetwork
        }
      }
    }
  }
}
