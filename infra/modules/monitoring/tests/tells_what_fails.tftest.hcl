mock_provider "google" {}

run "tells_what_fails" {
  command = plan

  variables {
    budget           = { billing_account = "012345-6789AB-CDEF01", currency = "BRL", monthly = 500 }
    catalog_instance = "lavra-test-catalog"
    jobs             = ["lavra-test-land"]
    service          = "lavra-test-service"
    thresholds       = { errors_per_second = 0.5 }
  }

  assert {
    condition     = keys(output.alerts) == ["catalog_disk", "catalog_memory", "job_lavra-test-land", "service_errors", "service_latency"]
    error_message = "Catalog, jobs and service must be watched."
  }
  assert {
    condition     = strcontains(one(one(google_monitoring_alert_policy.alerts["job_lavra-test-land"].conditions).condition_threshold).filter, "resource.labels.job_name = \"lavra-test-land\"") && strcontains(one(one(google_monitoring_alert_policy.alerts["job_lavra-test-land"].conditions).condition_threshold).filter, "metric.labels.result = \"failed\"")
    error_message = "A failed execution of the job must be told, and not a successful one."
  }
  assert {
    condition     = one(one(google_monitoring_alert_policy.alerts["job_lavra-test-land"].conditions).condition_threshold).threshold_value == 0
    error_message = "One failure is enough."
  }
  assert {
    condition     = strcontains(one(one(google_monitoring_alert_policy.alerts["catalog_disk"].conditions).condition_threshold).filter, "\"example:lavra-test-catalog\"")
    error_message = "The catalog's own disk must be watched."
  }
  assert {
    condition     = one(one(google_monitoring_alert_policy.alerts["service_errors"].conditions).condition_threshold).threshold_value == 0.5
    error_message = "Thresholds must be those that were asked for."
  }
  assert {
    condition     = alltrue([for alert in google_monitoring_alert_policy.alerts : length(one(alert.documentation).content) > 40])
    error_message = "Each alert must say what to do."
  }
  assert {
    condition     = one([for channel in google_monitoring_notification_channel.email : channel.labels.email_address]) == "oncall@example.com"
    error_message = "The alerts must reach someone."
  }
  assert {
    condition     = one(one(google_billing_budget.budget[0].amount).specified_amount).units == "500" && join(",", one(google_billing_budget.budget[0].budget_filter).projects) == "projects/example"
    error_message = "The budget must be this project's."
  }
}
