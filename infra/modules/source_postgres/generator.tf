# The airline's own application: POST /generate?n=50 lets maintenance go on. It makes the tables when
# there are none.
resource "google_cloud_run_v2_service" "generator" {
  count = var.image == null ? 0 : 1

  project             = var.project_id
  name                = "${var.name}-generator"
  deletion_protection = false
  description         = "Writes to the database ${var.database} as an airline's maintenance does."
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  labels              = var.labels
  location            = var.region

  template {
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    labels                           = var.labels
    max_instance_request_concurrency = 10
    service_account                  = local.generator
    timeout                          = "300s"

    containers {
      name    = "generator"
      image   = var.image
      command = ["python", "-m", "lavra.workloads.aviation"]

      dynamic "env" {
        for_each = {
          LAVRA_GENERATOR_HOST = "0.0.0.0"
          LAVRA_GENERATOR_PORT = tostring(local.port)
          LAVRA_GENERATOR_RATE = tostring(var.rate)
          LAVRA_STATE_DIR      = local.state_dir
        }
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = {
          LAVRA_GENERATOR_DATABASE_URL = "generator-url"
          LAVRA_GENERATOR_TOKEN        = "generator-token"
        }
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret_iam_member.generator[env.value].secret_id
              version = "latest"
            }
          }
        }
      }

      ports {
        container_port = local.port
      }

      # What happens by itself needs CPU between requests, and an instance that stays.
      resources {
        cpu_idle          = var.rate == 0
        startup_cpu_boost = true
        limits = {
          cpu    = "1"
          memory = "1Gi"
        }
      }

      startup_probe {
        failure_threshold = 48
        period_seconds    = 5
        timeout_seconds   = 3
        http_get {
          path = "/healthz"
          port = local.port
        }
      }

      volume_mounts {
        name       = "state"
        mount_path = local.state_dir
      }

      volume_mounts {
        name       = "source-ca"
        mount_path = "/etc/lavra/source"
      }
    }

    scaling {
      max_instance_count = 1
      min_instance_count = var.rate == 0 ? 0 : 1
    }

    volumes {
      name = "state"
      empty_dir {
        medium     = "MEMORY"
        size_limit = "256Mi"
      }
    }

    volumes {
      name = "source-ca"
      secret {
        secret = google_secret_manager_secret_iam_member.generator["ca"].secret_id
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

locals {
  port      = 8090
  state_dir = "/var/lavra"
}
