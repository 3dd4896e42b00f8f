resource "google_cloud_run_v2_job" "worker" {
  project             = var.project_id
  name                = var.name
  deletion_protection = var.deletion_protection
  labels              = var.labels
  location            = var.region

  template {
    labels      = var.labels
    parallelism = 1
    task_count  = 1

    template {
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      max_retries           = var.max_retries
      service_account       = var.service_account
      timeout               = "${var.timeout_s}s"

      containers {
        name    = "worker"
        image   = var.image
        command = var.command

        dynamic "env" {
          for_each = local.environment
          content {
            name  = env.key
            value = env.value
          }
        }

        dynamic "env" {
          for_each = merge(var.secrets, { LAVRA_CATALOG_URL = var.catalog.url_secret })
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
          limits = {
            cpu    = tostring(var.resources.cpu)
            memory = "${var.resources.memory_gib}Gi"
          }
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

      # Scratch space of one execution: what lasts is in the lake and the catalog.
      volumes {
        name = "state"
        empty_dir {
          medium     = "MEMORY"
          size_limit = "${var.resources.scratch_gib}Gi"
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
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = var.vpc.network
          subnetwork = var.vpc.subnetwork
        }
      }
    }
  }
}

locals {
  state_dir = "/var/lavra"

  environment = merge(var.sources, var.settings, {
    LAVRA_LAKE_URL  = var.lake_url
    LAVRA_STATE_DIR = local.state_dir
  })
}
