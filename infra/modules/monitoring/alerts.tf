# Only metrics that Google itself writes: they are there from the first day.
locals {
  alerts = merge(local.catalog_alerts, local.job_alerts, local.service_alerts, local.stream_alerts)

  catalog_alerts = var.catalog_instance == null ? {} : {
    catalog_disk = {
      aligner    = "ALIGN_MAX"
      duration   = "900s"
      filter     = "resource.type = \"cloudsql_database\" AND resource.labels.database_id = \"${var.project_id}:${var.catalog_instance}\" AND metric.type = \"cloudsql.googleapis.com/database/disk/utilization\""
      reducer    = "REDUCE_MAX"
      severity   = "WARNING"
      threshold  = 0.9
      title      = "the catalog's disk is 90 % full"
      what_to_do = "The disk grows by itself up to `disk.max_gb`; past that the catalog stops. Raise it, or expire old snapshots."
    }
    catalog_memory = {
      aligner    = "ALIGN_MEAN"
      duration   = "1800s"
      filter     = "resource.type = \"cloudsql_database\" AND resource.labels.database_id = \"${var.project_id}:${var.catalog_instance}\" AND metric.type = \"cloudsql.googleapis.com/database/memory/utilization\""
      reducer    = "REDUCE_MAX"
      severity   = "WARNING"
      threshold  = 0.95
      title      = "the catalog is short of memory"
      what_to_do = "Postgres is restarted when it runs out. Choose a larger `tier`."
    }
  }

  job_alerts = {
    for job in var.jobs : "job_${job}" => {
      aligner    = "ALIGN_DELTA"
      duration   = "0s"
      filter     = "resource.type = \"cloud_run_job\" AND resource.labels.job_name = \"${job}\" AND metric.type = \"run.googleapis.com/job/completed_execution_count\" AND metric.labels.result = \"failed\""
      reducer    = "REDUCE_SUM"
      severity   = "ERROR"
      threshold  = 0
      title      = "${job} failed"
      what_to_do = "The last release stays in place, so nobody sees half-built data; it grows old. What failed: `gcloud run jobs executions list --job=${job}`, then its logs."
    }
  }

  service_alerts = var.service == null ? {} : {
    service_errors = {
      aligner    = "ALIGN_RATE"
      duration   = "300s"
      filter     = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${var.service}\" AND metric.type = \"run.googleapis.com/request_count\" AND metric.labels.response_code_class = \"5xx\""
      reducer    = "REDUCE_SUM"
      severity   = "ERROR"
      threshold  = var.thresholds.errors_per_second
      title      = "the query service answers with errors"
      what_to_do = "503 with code `not_ready`: no release is loaded, see the jobs. 507: a query needed more memory than there is. Others: the service's logs."
    }
    service_latency = {
      aligner    = "ALIGN_PERCENTILE_95"
      duration   = "900s"
      filter     = "resource.type = \"cloud_run_revision\" AND resource.labels.service_name = \"${var.service}\" AND metric.type = \"run.googleapis.com/request_latencies\""
      reducer    = "REDUCE_MAX"
      severity   = "WARNING"
      threshold  = var.thresholds.latency_p95_ms
      title      = "the query service is slow"
      what_to_do = "Is it at `max_instances`? Do tables that are asked for exceed `cache_gib`?"
    }
  }

  # A quiet source makes no commits, so silence says nothing. What does: whether the pool runs, and
  # how much log the source keeps for it.
  stream_alerts = merge(
    var.streams == null ? {} : {
      stream_pool = {
        aligner      = "ALIGN_MEAN"
        comparison   = "COMPARISON_LT"
        duration     = "600s"
        filter       = "resource.type = \"cloud_run_worker_pool\" AND resource.labels.worker_pool_name = \"${var.streams.pool}\" AND metric.type = \"run.googleapis.com/container/instance_count\""
        missing_data = "EVALUATION_MISSING_DATA_ACTIVE"
        reducer      = "REDUCE_SUM"
        severity     = "ERROR"
        threshold    = 1
        title        = "nobody follows the streams"
        what_to_do   = "Each source keeps its log until the pool is back. Why it is away: `gcloud run worker-pools describe ${var.streams.pool}`, then its logs. If it stays away, drop the slots: docs/runbook.md, \"A replication slot that holds the source's log\"."
      }
    },
    try(var.streams.source, null) == null ? {} : {
      stream_source_log = {
        aligner    = "ALIGN_MAX"
        duration   = "600s"
        filter     = "resource.type = \"cloudsql_database\" AND resource.labels.database_id = \"${var.project_id}:${var.streams.source.instance}\" AND metric.type = \"cloudsql.googleapis.com/database/disk/bytes_used_by_data_type\" AND metric.labels.data_type = \"Wal\""
        reducer    = "REDUCE_MAX"
        severity   = "WARNING"
        threshold  = 1048576 * (var.streams.source.usual_log_mb + var.streams.source.slot_keeps_mb / 2)
        title      = "the source keeps much log for a slot"
        what_to_do = "At ${var.streams.source.slot_keeps_mb} MB Postgres gives the slot up, and the tables are loaded anew. `lavra stream status` shows how far behind the worker is; docs/runbook.md, \"A replication slot that holds the source's log\"."
      }
    },
  )
}
