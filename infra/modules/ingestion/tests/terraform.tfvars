airbyte    = { client_id = "app", workspace_id = "4f1c" }
bucket     = "acme-lavra-test"
name       = "lavra-test"
project_id = "example"
region     = "southamerica-east1"
