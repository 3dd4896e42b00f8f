name       = "lavra-test"
project_id = "example"
region     = "southamerica-east1"
writers    = { deployer = "deployer@example.iam.gserviceaccount.com" }
