# Small when idle: nothing runs but the catalog, and that on a shared core.
module "stack" {
  source = "../../stack"

  airbyte  = var.airbyte
  alerts   = var.alerts
  bigquery = var.bigquery
  catalog = {
    backup = { retained = 7 }
    tier   = "db-f1-micro"
  }
  deletion_protection = var.deletion_protection
  domains             = var.domains
  events              = var.events
  github              = var.github
  images              = var.images
  labels              = { environment = "dev" }
  lake                = { force_destroy = !var.keep_lake }
  name                = "lavra-dev"
  project_id          = var.project_id
  receiver            = var.receiver
  region              = var.region
  service = {
    resources = { cache_gib = 1, cpu = 1, memory_gib = 3 }
    scaling   = { max_instances = 1, min_instances = 0 }
  }
  source_postgres = var.source_postgres
  sources         = var.sources
  streams         = var.streams
  superset        = var.superset
  time_zone       = var.time_zone
}
