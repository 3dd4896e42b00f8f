# The whole lake of one environment: the modules, and what each is told of the others.
#
# Order of life: the foundation stands without any image. Then come the images, each part when its
# image is named: the jobs first, because the service is ready only once there is a release.

module "apis" {
  source = "../modules/apis"

  project_id = var.project_id
}

module "network" {
  source = "../modules/network"

  name       = var.name
  project_id = module.apis.project_id
  region     = var.region
}

module "identity" {
  source = "../modules/identity"

  github     = var.github
  prefix     = var.name
  project_id = module.apis.project_id
}

module "registry" {
  source = "../modules/registry"

  kms_key    = var.kms_key
  labels     = local.labels
  name       = var.name
  project_id = module.apis.project_id
  region     = var.region
  writers    = { for account in ["deployer"] : account => module.identity.emails[account] if var.github != null }
}

module "lake" {
  source = "../modules/lake"

  bronze_nearline_after_days = var.lake.bronze_nearline_after_days
  force_destroy              = var.lake.force_destroy
  kms_key                    = var.kms_key
  labels                     = local.labels
  location                   = var.region
  name                       = coalesce(var.lake.bucket, "${var.project_id}-${var.name}-lake")
  project_id                 = module.apis.project_id
  readers                    = { service = module.identity.emails.service }
  recovery_days              = var.lake.recovery_days
  writers                    = { worker = module.identity.emails.worker }
}

module "catalog" {
  source = "../modules/catalog"

  backup              = var.catalog.backup
  deletion_protection = var.deletion_protection
  disk                = var.catalog.disk
  high_availability   = var.catalog.high_availability
  kms_key             = var.kms_key
  labels              = local.labels
  name                = "${var.name}-catalog"
  network_id          = module.network.network_id
  project_id          = module.apis.project_id
  region              = var.region
  service_accounts    = { for part in ["service", "superset", "worker"] : part => module.identity.emails[part] }
  tier                = var.catalog.tier
}

module "ingestion" {
  source = "../modules/ingestion"
  count  = var.airbyte == null ? 0 : 1

  airbyte    = var.airbyte
  bucket     = module.lake.bucket
  drivers    = { worker = module.identity.emails.worker }
  labels     = local.labels
  name       = var.name
  project_id = module.apis.project_id
  region     = var.region
}

module "source_postgres" {
  source = "../modules/source_postgres"
  count  = var.source_postgres == null ? 0 : 1

  callers             = var.source_postgres.callers
  database            = var.source_postgres.database
  deletion_protection = var.deletion_protection
  disk                = var.source_postgres.disk
  followers           = { worker = module.identity.emails.worker }
  image               = var.source_postgres.generator ? var.images.job : null
  kms_key             = var.kms_key
  labels              = local.labels
  name                = "${var.name}-fleet"
  network_id          = module.network.network_id
  project_id          = module.apis.project_id
  rate                = var.source_postgres.rate
  region              = var.region
  tier                = var.source_postgres.tier
  vpc                 = module.network.vpc
}

module "jobs" {
  source   = "../modules/worker"
  for_each = var.images.job == null ? {} : local.jobs

  catalog         = { ca_secret = module.catalog.ca_secret, url_secret = module.catalog.url_secrets.worker }
  command         = each.value.command
  image           = var.images.job
  labels          = local.labels
  lake_url        = module.lake.lake_url
  max_retries     = each.value.max_retries
  name            = "${var.name}-${each.key}"
  project_id      = module.apis.project_id
  region          = var.region
  resources       = each.value.resources
  secrets         = each.value.reads_sources ? local.sources.secrets : {}
  service_account = module.identity.emails.worker
  settings        = each.value.reads_sources ? merge(local.settings, local.airbyte.settings) : local.settings
  sources         = each.value.reads_sources ? local.sources.environment : {}
  timeout_s       = each.value.timeout_s
  vpc             = module.network.vpc

  schedule = each.value.cron == null ? null : {
    cron            = each.value.cron
    paused          = each.value.paused || contains(local.done_by_the_worker, each.key)
    service_account = module.identity.emails.scheduler
    time_zone       = var.time_zone
  }
  starters = {
    for account in ["deployer"] : account => "serviceAccount:${module.identity.emails[account]}"
    if var.github != null && each.value.deployer_may_start
  }
}

module "events" {
  source = "../modules/events"
  count  = var.events == null || var.images.job == null ? 0 : 1

  bucket          = module.lake.bucket
  job             = module.jobs[var.events.job].job
  labels          = local.labels
  name            = var.name
  prefix          = var.events.prefix
  project_id      = module.apis.project_id
  project_number  = var.events.project_number
  region          = var.region
  service_account = module.identity.emails.scheduler
}

module "receiver" {
  source = "../modules/receiver"
  count  = var.receiver == null || var.images.job == null ? 0 : 1

  always_on       = var.receiver.always_on
  bucket          = module.lake.bucket
  catalog         = { ca_secret = module.catalog.ca_secret, url_secret = module.catalog.url_secrets.worker }
  image           = var.images.job
  labels          = local.labels
  lake_url        = module.lake.lake_url
  name            = "${var.name}-receiver"
  prefixes        = var.receiver.prefixes
  project_id      = module.apis.project_id
  project_number  = var.receiver.project_number
  region          = var.region
  resources       = var.receiver.resources
  secrets         = local.sources.secrets
  service_account = module.identity.emails.worker
  settings        = merge(local.settings, local.airbyte.settings)
  sources         = local.sources.environment
  vpc             = module.network.vpc
}

# Destroyed before all that dropping the slots needs: secrets and who may read them, the network, the
# sources.
module "stream_worker" {
  source = "../modules/stream_worker"
  count  = local.streams ? 1 : 0

  catalog         = { ca_secret = module.catalog.ca_secret, url_secret = module.catalog.url_secrets.worker }
  image           = var.images.job
  labels          = local.labels
  lake_url        = module.lake.lake_url
  name            = "${var.name}-streams"
  parts           = var.streams.parts
  project_id      = module.apis.project_id
  region          = var.region
  resources       = var.streams.resources
  secrets         = local.sources.secrets
  service_account = module.identity.emails.worker
  settings        = local.settings
  sources         = local.sources.environment
  teardown_job    = module.jobs["teardown-streams"].job
  vpc             = module.network.vpc

  depends_on = [
    google_secret_manager_secret_iam_member.sources,
    module.catalog,
    module.lake,
    module.network,
    module.source_postgres,
  ]
}

module "bigquery" {
  source = "../modules/bigquery"
  count  = length(try(var.bigquery.tables, [])) == 0 ? 0 : 1

  kms_key    = var.kms_key
  labels     = local.labels
  lake_url   = module.lake.lake_url
  location   = var.region
  name       = var.name
  project_id = module.apis.project_id
  readers    = var.bigquery.readers
  tables     = var.bigquery.tables
}

module "query_service" {
  source = "../modules/query_service"
  count  = var.images.service == null ? 0 : 1

  access              = var.service.access
  catalog             = { ca_secret = module.catalog.ca_secret, url_secret = module.catalog.url_secrets.service }
  deletion_protection = var.deletion_protection
  image               = var.images.service
  ingress             = var.service.ingress
  invokers            = var.service.access == "network" ? {} : merge(var.service.invokers, { superset = "serviceAccount:${module.identity.emails.superset}" })
  labels              = local.labels
  lake_url            = module.lake.lake_url
  name                = "${var.name}-service"
  project_id          = module.apis.project_id
  region              = var.region
  resources           = var.service.resources
  scaling             = var.service.scaling
  secrets             = var.images.superset == null ? {} : { LAVRA_SUPERSET_SIGNING_SECRET = google_secret_manager_secret_iam_member.signing["service"].secret_id }
  service_account     = module.identity.emails.service
  vpc                 = module.network.vpc
}

module "superset" {
  source = "../modules/superset"
  count  = var.images.superset == null ? 0 : 1

  access              = var.superset.access
  catalog             = { ca_secret = module.catalog.ca_secret, url_secret = module.catalog.url_secrets.superset }
  deletion_protection = var.deletion_protection
  image               = var.images.superset
  ingress             = var.superset.ingress
  invokers            = var.superset.invokers
  labels              = local.labels
  name                = "${var.name}-superset"
  project_id          = module.apis.project_id
  region              = var.region
  resources           = var.superset.resources
  scaling             = var.superset.scaling
  service_account     = module.identity.emails.superset
  settings            = merge(local.settings, var.superset.settings)
  signing_secret      = google_secret_manager_secret_iam_member.signing["superset"].secret_id
  vpc                 = module.network.vpc

  service = {
    auth = var.service.access == "iam" ? "google" : ""
    url  = one(module.query_service[*].service_url)
  }
  starters = {
    for account in ["deployer"] : account => "serviceAccount:${module.identity.emails[account]}"
    if var.github != null
  }
}

module "monitoring" {
  source = "../modules/monitoring"
  count  = var.alerts == null ? 0 : 1

  budget           = var.alerts.budget
  catalog_instance = module.catalog.instance
  emails           = var.alerts.emails
  jobs             = [for job in module.jobs : job.job]
  labels           = local.labels
  name             = var.name
  project_id       = module.apis.project_id
  service          = one(module.query_service[*].name)

  streams = local.streams ? {
    pool   = one(module.stream_worker[*].pool)
    source = one([for source in module.source_postgres : { instance = source.instance, slot_keeps_mb = source.slot_keeps_mb }])
  } : null
}

locals {
  airbyte = {
    secrets  = merge([for ingestion in module.ingestion : ingestion.secrets]...)
    settings = merge([for ingestion in module.ingestion : ingestion.settings]...)
  }
  labels = merge({ lake = var.name }, var.labels)

  # What the project's lavra.toml leaves open, the same for all that land, model and stream.
  settings = length(var.domains) == 0 ? {} : { LAVRA_DOMAINS = jsonencode(sort(var.domains)) }

  # What the connections and streams in airbyte/ refer to.
  sources = {
    environment = merge(var.sources.environment, [for source in module.source_postgres : source.sources]...)
    secrets     = merge(concat([var.sources.secrets, local.airbyte.secrets], [for source in module.source_postgres : source.secrets])...)
  }

  streams = var.streams != null && var.images.job != null

  # The worker's models part runs what is due: a schedule beside it would only wait for its lock.
  done_by_the_worker = local.streams && contains(try(var.streams.parts, []), "models") ? ["run-models"] : []

  jobs = merge(var.jobs, { for name, job in {
    # Writes what BigQuery reads, when there is a new release; else it ends at once.
    export = {
      command            = ["lavra", "release", "export"]
      cron               = var.bigquery == null ? null : var.bigquery.cron
      deployer_may_start = false
      max_retries        = 1
      paused             = false
      reads_sources      = false
      resources          = { cpu = 1, memory_gib = 4, scratch_gib = 1 }
      timeout_s          = 3600
    }
    # Drops the slots: executed when the pool is destroyed, or by hand.
    teardown-streams = {
      command            = ["lavra", "stream", "teardown", "--all"]
      cron               = null
      deployer_may_start = false
      max_retries        = 3
      paused             = false
      reads_sources      = true
      resources          = { cpu = 1, memory_gib = 2, scratch_gib = 1 }
      timeout_s          = 600
    }
  } : name => job if name == "export" ? var.bigquery != null : local.streams })
}
