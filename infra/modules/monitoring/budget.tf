# A budget warns; it stops nothing.
resource "google_billing_budget" "budget" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = var.name

  all_updates_rule {
    monitoring_notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]
  }

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.monthly)
    }
  }

  budget_filter {
    calendar_period = "MONTH"
    projects        = ["projects/${var.project_id}"]
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  threshold_rules {
    spend_basis       = "FORECASTED_SPEND"
    threshold_percent = 1.2
  }
}
