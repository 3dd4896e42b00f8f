# A file that arrives is landed at once: bucket -> Pub/Sub -> `lavra ingest receive`.
resource "google_cloud_run_v2_service" "receiver" {
  project             = var.project_id
  name                = var.name
  deletion_protection = false
  description         = "Lands what the bucket tells of, and runs the models that depend on it."
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  labels              = var.labels
  location            = var.region

  # Cloud Run takes the signature off the tokens that it checks itself. The receiver checks them, and
  # by name who sends, so nobody has to be an invoker.
  invoker_iam_disabled = true

  template {
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    labels                           = var.labels
    max_instance_request_concurrency = 80
    service_account                  = var.service_account
    timeout                          = "60s"

    containers {
      name    = "receiver"
      image   = var.image
      command = ["lavra", "ingest", "receive"]

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

      ports {
        container_port = local.port
      }

      # It works after it has answered, so it keeps its CPU for as long as the instance lives.
      resources {
        cpu_idle          = false
        startup_cpu_boost = true
        limits = {
          cpu    = tostring(var.resources.cpu)
          memory = "${var.resources.memory_gib}Gi"
        }
      }

      startup_probe {
        failure_threshold = 24
        period_seconds    = 5
        timeout_seconds   = 3
        http_get {
          path = "/healthz"
          port = local.port
        }
      }

      liveness_probe {
        failure_threshold = 3
        period_seconds    = 20
        timeout_seconds   = 5
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
        name       = "catalog-ca"
        mount_path = "/etc/lavra/catalog"
      }
    }

    # One acts at a time, whatever their number.
    scaling {
      max_instance_count = 1
      min_instance_count = var.always_on ? 1 : 0
    }

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

locals {
  audience  = var.name
  port      = 8070
  state_dir = "/var/lavra"

  environment = merge(var.sources, var.settings, {
    LAVRA_LAKE_URL         = var.lake_url
    LAVRA_OIDC_AUDIENCES   = jsonencode([local.audience])
    LAVRA_OIDC_ISSUERS     = jsonencode(["https://accounts.google.com"])
    LAVRA_RECEIVER_HOST    = "0.0.0.0"
    LAVRA_RECEIVER_PORT    = tostring(local.port)
    LAVRA_RECEIVER_SENDERS = jsonencode([local.pusher])
    LAVRA_STATE_DIR        = local.state_dir
  })
}
