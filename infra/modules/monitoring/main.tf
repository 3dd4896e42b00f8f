resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  project      = var.project_id
  display_name = each.value
  labels       = { email_address = each.value }
  type         = "email"
}

resource "google_monitoring_alert_policy" "alerts" {
  for_each = local.alerts

  project               = var.project_id
  combiner              = "OR"
  display_name          = "${var.name}: ${each.value.title}"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]
  severity              = each.value.severity
  user_labels           = var.labels

  alert_strategy {
    auto_close = "86400s"
  }

  conditions {
    display_name = each.value.title

    condition_threshold {
      comparison              = try(each.value.comparison, "COMPARISON_GT")
      duration                = each.value.duration
      evaluation_missing_data = try(each.value.missing_data, null)
      filter                  = each.value.filter
      threshold_value         = each.value.threshold

      aggregations {
        alignment_period     = "300s"
        cross_series_reducer = each.value.reducer
        per_series_aligner   = each.value.aligner
      }
    }
  }

  documentation {
    content   = each.value.what_to_do
    mime_type = "text/markdown"
  }
}

# What the worker says as an error. It logs lines of text, which have no severity there.
resource "google_monitoring_alert_policy" "stream_errors" {
  count = var.streams == null ? 0 : 1

  project               = var.project_id
  combiner              = "OR"
  display_name          = "${var.name}: the stream worker reports an error"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]
  severity              = "ERROR"
  user_labels           = var.labels

  # An error that comes again each second is told once an hour.
  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }

  conditions {
    display_name = "the stream worker reports an error"

    condition_matched_log {
      filter = "resource.type=\"cloud_run_worker_pool\" AND resource.labels.worker_pool_name=\"${var.streams.pool}\" AND textPayload=~\" (ERROR|CRITICAL) \""
    }
  }

  documentation {
    content   = "A stream failed, or its slot was dropped for the log that it held, or the models did not run. Which: the logs of the pool ${var.streams.pool}, and `lavra stream status`."
    mime_type = "text/markdown"
  }
}
