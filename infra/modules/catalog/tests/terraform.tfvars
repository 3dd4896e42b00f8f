name       = "lavra-test-catalog"
network_id = "projects/example/global/networks/lavra-test"
project_id = "example"
region     = "southamerica-east1"
service_accounts = {
  service  = "service@example.iam.gserviceaccount.com"
  superset = "superset@example.iam.gserviceaccount.com"
  worker   = "worker@example.iam.gserviceaccount.com"
}
