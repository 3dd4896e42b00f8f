resource "google_cloud_run_v2_service" "superset" {
  project              = var.project_id
  name                 = var.name
  deletion_protection  = var.deletion_protection
  description          = "Superset over Lavra's query service."
  ingress              = local.ingress
  invoker_iam_disabled = var.access == "login"
  labels               = var.labels
  location             = var.region

  template {
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    labels                           = var.labels
    max_instance_request_concurrency = 40
    service_account                  = var.service_account
    timeout                          = "180s"

    containers {
      name  = "superset"
      image = var.image
      args  = ["dashboards", "serve"]

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

      ports {
        container_port = local.port
      }

      resources {
        cpu_idle          = true
        startup_cpu_boost = true
        limits            = local.limits
      }

      startup_probe {
        failure_threshold = 48
        period_seconds    = 5
        timeout_seconds   = 4
        http_get {
          path = "/health"
          port = local.port
        }
      }

      liveness_probe {
        failure_threshold = 3
        period_seconds    = 30
        timeout_seconds   = 10
        http_get {
          path = "/health"
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

    scaling {
      max_instance_count = var.scaling.max_instances
      min_instance_count = var.scaling.min_instances
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

    # Only what comes through the lake's network reaches a service with internal ingress.
    vpc_access {
      egress = "ALL_TRAFFIC"
      network_interfaces {
        network    = var.vpc.network
        subnetwork = var.vpc.subnetwork
      }
    }
  }
}

locals {
  port      = 8088
  state_dir = "/var/lavra"

  limits = {
    cpu    = tostring(var.resources.cpu)
    memory = "${var.resources.memory_gib}Gi"
  }

  ingress = {
    all           = "INGRESS_TRAFFIC_ALL"
    internal      = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    load_balancer = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  }[var.ingress]

  environment = merge(var.settings, {
    LAVRA_SERVICE_URL           = var.service.url
    LAVRA_STATE_DIR             = local.state_dir
    LAVRA_SUPERSET_HOST         = "0.0.0.0"
    LAVRA_SUPERSET_PORT         = tostring(local.port)
    LAVRA_SUPERSET_SERVICE_AUTH = var.service.auth
  })

  secrets = merge(
    { LAVRA_CATALOG_URL = var.catalog.url_secret, LAVRA_SUPERSET_SIGNING_SECRET = var.signing_secret },
    { for name, secret in google_secret_manager_secret.own : local.own[name] => secret.secret_id },
  )
}
