resource "google_cloud_run_v2_service" "query" {
  project              = var.project_id
  name                 = var.name
  deletion_protection  = var.deletion_protection
  description          = "Lavra's query service: SQL over HTTP on the released Gold tables."
  ingress              = local.ingress
  invoker_iam_disabled = var.access == "network"
  labels               = var.labels
  location             = var.region

  template {
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    labels                           = var.labels
    max_instance_request_concurrency = var.scaling.concurrency
    service_account                  = var.service_account
    timeout                          = "${var.request_timeout_s}s"

    containers {
      name  = "service"
      image = var.image
      args  = ["serve"]

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

      # The service follows releases between requests too, so it keeps its CPU; an instance that
      # nobody asks is stopped whole.
      resources {
        cpu_idle          = false
        startup_cpu_boost = true
        limits = {
          cpu    = tostring(var.resources.cpu)
          memory = "${var.resources.memory_gib}Gi"
        }
      }

      # An instance gets requests once its first snapshot is loaded.
      startup_probe {
        failure_threshold = ceil(var.startup_timeout_s / 5)
        period_seconds    = 5
        timeout_seconds   = 3
        http_get {
          path = "/readyz"
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

    scaling {
      max_instance_count = var.scaling.max_instances
      min_instance_count = var.scaling.min_instances
    }

    # The cached tables, shared by the engine processes, and what large queries spill. It is
    # memory: it counts in the limit.
    volumes {
      name = "state"
      empty_dir {
        medium     = "MEMORY"
        size_limit = "${var.resources.cache_gib}Gi"
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
  engines   = max(2, var.resources.cpu)
  port      = 8080
  state_dir = "/var/lavra"

  # What the cache and the service itself (1 GiB, its kept answers included) leave, shared out.
  query_memory_mb = floor((var.resources.memory_gib - var.resources.cache_gib - 1) * 1024 / local.engines)

  # Of the volume: half for the tables, a fifth for what access rules leave of them; the rest is for
  # the new tables beside the old ones during a swap, and for what queries spill.
  tables_mb     = floor(var.resources.cache_gib * 1024 * 0.5)
  restricted_mb = floor(var.resources.cache_gib * 1024 * 0.2)

  ingress = {
    all           = "INGRESS_TRAFFIC_ALL"
    internal      = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    load_balancer = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  }[var.ingress]

  environment = merge({
    # The service may only read the catalog; Cloud Logging keeps the record, by these lines.
    LAVRA_ACCESS_LOG      = "stdout"
    LAVRA_SERVICE_PROXIES = "1" # Cloud Run's own front end
    }, var.settings, {
    LAVRA_LAKE_URL                = var.lake_url
    LAVRA_SERVICE_CACHE_MB        = tostring(local.tables_mb)
    LAVRA_SERVICE_ENGINES         = tostring(local.engines)
    LAVRA_SERVICE_HOST            = "0.0.0.0"
    LAVRA_SERVICE_PORT            = tostring(local.port)
    LAVRA_SERVICE_QUERY_MEMORY_MB = tostring(local.query_memory_mb)
    LAVRA_SERVICE_RESTRICTED_MB   = tostring(local.restricted_mb)
    LAVRA_STATE_DIR               = local.state_dir
  })
}
