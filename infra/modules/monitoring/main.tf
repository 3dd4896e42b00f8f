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
      comparison      = "COMPARISON_GT"
      duration        = each.value.duration
      filter          = each.value.filter
      threshold_value = each.value.threshold

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
