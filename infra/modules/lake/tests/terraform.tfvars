location   = "southamerica-east1"
name       = "acme-lavra-test"
project_id = "example"
readers    = { service = "service@example.iam.gserviceaccount.com" }
writers    = { worker = "worker@example.iam.gserviceaccount.com" }
