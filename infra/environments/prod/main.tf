# A second zone stands by for the catalog, and one instance of the service always runs.
module "stack" {
  source = "../../stack"

  airbyte  = var.airbyte
  alerts   = var.alerts
  bigquery = var.bigquery
  catalog = {
    backup            = { recovery_days = 7, retained = 30 }
    disk              = { initial_gb = 20, max_gb = 500 }
    high_availability = true
    tier              = "db-custom-2-7680"
  }
  deletion_protection = var.deletion_protection
  domains             = var.domains
  events              = var.events
  github              = var.github
  images              = var.images
  labels              = { environment = "prod" }
  lake = {
    bronze_nearline_after_days = 90
    force_destroy              = !var.keep_lake
    recovery_days              = 30
  }
  name       = "lavra-prod"
  project_id = var.project_id
  receiver   = var.receiver
  region     = var.region
  service = {
    resources = { cache_gib = 8, cpu = 4, memory_gib = 16 }
    scaling   = { max_instances = 10, min_instances = 1 }
  }
  source_postgres = var.source_postgres
  sources         = var.sources
  streams         = var.streams
  superset        = merge(var.superset, { scaling = { max_instances = 4, min_instances = 1 } })
  time_zone       = var.time_zone
}
