# `lavra worker`, always on: it follows the streams, and runs the models when something arrived.
resource "google_cloud_run_v2_worker_pool" "streams" {
  project             = var.project_id
  name                = var.name
  deletion_protection = var.deletion_protection
  description         = "Follows the sources' changes: lavra worker."
  labels              = var.labels
  launch_stage        = "BETA"
  location            = var.region

  # One instance. During a deployment there are two, and the catalog's locks let one of them work.
  scaling {
    manual_instance_count = 1
    scaling_mode          = "MANUAL"
  }

  template {
    labels          = var.labels
    service_account = var.service_account

    containers {
      name    = "worker"
      image   = var.image
      command = concat(["lavra", "worker"], flatten([for part in sort(var.parts) : ["--only", part]]))

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

    # Scratch space: what lasts is in the lake and the catalog.
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

  depends_on = [terraform_data.slots]
}

locals {
  state_dir = "/var/lavra"

  environment = merge(var.sources, var.settings, {
    LAVRA_LAKE_URL            = var.lake_url
    LAVRA_STATE_DIR           = local.state_dir
    LAVRA_WORKER_METRICS_PORT = "0" # nobody reaches an instance of a pool
  })
}
