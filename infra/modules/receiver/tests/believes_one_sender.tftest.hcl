mock_provider "google" {}

run "believes_one_sender" {
  command = plan

  variables {
    always_on = true
    secrets   = { SHOP_PASSWORD = "shop-password" }
    settings  = { LAVRA_LOG_LEVEL = "debug" }
    sources   = { SHOP_HOST = "10.1.2.3" }
  }

  assert {
    condition     = google_cloud_run_v2_service.receiver.ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY"
    error_message = "The receiver must not be reachable from the internet."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.receiver.template).containers).env : env.name => env.value if length(env.value_source) == 0 } == { LAVRA_LAKE_URL = "gs://acme-lavra-test", LAVRA_LOG_LEVEL = "debug", LAVRA_OIDC_AUDIENCES = "[\"lavra-test-receiver\"]", LAVRA_OIDC_ISSUERS = "[\"https://accounts.google.com\"]", LAVRA_RECEIVER_HOST = "0.0.0.0", LAVRA_RECEIVER_PORT = "8070", LAVRA_RECEIVER_SENDERS = "[\"lavra-test-receiver-push@example.iam.gserviceaccount.com\"]", LAVRA_STATE_DIR = "/var/lavra", SHOP_HOST = "10.1.2.3" }
    error_message = "The receiver must believe Google's tokens of the one account, made for it alone."
  }
  assert {
    condition     = one(one(google_pubsub_subscription.push.push_config).oidc_token).service_account_email == "lavra-test-receiver-push@example.iam.gserviceaccount.com" && one(one(google_pubsub_subscription.push.push_config).oidc_token).audience == "lavra-test-receiver"
    error_message = "Pub/Sub must push with the token that the receiver believes."
  }
  assert {
    condition     = one(google_pubsub_subscription.push.expiration_policy).ttl == "" && google_pubsub_subscription.push.message_retention_duration == "604800s" && google_pubsub_subscription.push.ack_deadline_seconds == 60
    error_message = "An event must be kept until it is answered, and the subscription for good."
  }
  assert {
    condition     = { for notification in google_storage_notification.arrived : notification.object_name_prefix => "${notification.bucket} ${join(",", notification.event_types)}" } == { "bronze/" = "acme-lavra-test OBJECT_FINALIZE", "incoming/" = "acme-lavra-test OBJECT_FINALIZE" }
    error_message = "Only files that arrive must be told, not what the models write."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.bucket.role == "roles/pubsub.publisher" && google_pubsub_topic_iam_member.bucket.member == "serviceAccount:service-123@gs-project-accounts.iam.gserviceaccount.com"
    error_message = "Cloud Storage must be able to tell the topic, and nothing else."
  }
  assert {
    condition     = join(",", one(google_pubsub_topic.arrived.message_storage_policy).allowed_persistence_regions) == "southamerica-east1"
    error_message = "What is told must stay in the lake's region."
  }
  assert {
    condition     = one(google_cloud_run_v2_service.receiver.template).service_account == var.service_account
    error_message = "The receiver must run as its own account."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.receiver.template).containers).command == tolist(["lavra", "ingest", "receive"])
    error_message = "The receiver must be what runs."
  }
  assert {
    condition     = { for env in one(one(google_cloud_run_v2_service.receiver.template).containers).env : env.name => one(one(env.value_source).secret_key_ref).secret if length(env.value_source) > 0 } == { LAVRA_CATALOG_URL = "lavra-test-catalog-url-worker", SHOP_PASSWORD = "shop-password" }
    error_message = "What is secret must come from Secret Manager."
  }
  assert {
    condition     = one(one(one(google_cloud_run_v2_service.receiver.template).containers).resources).cpu_idle == false
    error_message = "The receiver works after it has answered: it must keep its CPU."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.receiver.template).scaling).max_instance_count == 1 && one(one(google_cloud_run_v2_service.receiver.template).scaling).min_instance_count == 1
    error_message = "One instance at most, and one always when asked."
  }
  assert {
    condition     = one(one(one(one(google_cloud_run_v2_service.receiver.template).containers).startup_probe).http_get).path == "/healthz" && one(one(one(one(google_cloud_run_v2_service.receiver.template).containers).liveness_probe).http_get).path == "/healthz"
    error_message = "An instance must be up before it gets events, and restarted when it hangs."
  }
  assert {
    condition     = one(one(google_cloud_run_v2_service.receiver.template).vpc_access).egress == "PRIVATE_RANGES_ONLY"
    error_message = "The catalog's private address must be reached through the network."
  }
}
