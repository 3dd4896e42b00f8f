mock_provider "google" {}

run "tells_what_fails" {
  command = plan

  variables {
    budget           = { billing_account = "012345-6789AB-CDEF01", currency = "BRL", monthly = 500 }
    catalog_instance = "lavra-test-catalog"
    jobs             = ["lavra-test-land"]
    service          = "lavra-test-service"
    streams          = { pool = "lavra-test-streams", source = { instance = "lavra-test-fleet", slot_keeps_mb = 4096 } }
    thresholds       = { errors_per_second = 0.5 }
  }

  assert {
    condition     = keys(output.alerts) == ["catalog_disk", "catalog_memory", "job_lavra-test-land", "service_errors", "service_latency", "stream_pool", "stream_source_log"]
    error_message = "Catalog, jobs, service and streams must be watched."
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
  assert {
    condition     = alltrue([for condition in one(google_monitoring_alert_policy.alerts["stream_pool"].conditions).condition_threshold : condition.comparison == "COMPARISON_LT" && condition.threshold_value == 1 && condition.evaluation_missing_data == "EVALUATION_MISSING_DATA_ACTIVE" && strcontains(condition.filter, "resource.labels.worker_pool_name = \"lavra-test-streams\"")])
    error_message = "A pool without an instance must be told, and one that says nothing at all."
  }
  assert {
    condition     = alltrue([for condition in one(google_monitoring_alert_policy.alerts["stream_source_log"].conditions).condition_threshold : condition.threshold_value == (1536 + 2048) * 1048576 && strcontains(condition.filter, "\"example:lavra-test-fleet\"") && strcontains(condition.filter, "metric.labels.data_type = \"Wal\"")])
    error_message = "The log that the source keeps must be told before the slot is given up."
  }
  assert {
    condition     = alltrue([for condition in google_monitoring_alert_policy.stream_errors[0].conditions : strcontains(one(condition.condition_matched_log).filter, "resource.labels.worker_pool_name=\"lavra-test-streams\" AND textPayload=~\" (ERROR|CRITICAL) \"")])
    error_message = "What the worker reports as an error must be told."
  }
  assert {
    condition     = one(one(google_monitoring_alert_policy.stream_errors[0].alert_strategy).notification_rate_limit).period == "3600s"
    error_message = "An error that comes again and again must not be a mail each time."
  }
}
