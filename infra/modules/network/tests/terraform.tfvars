name       = "lavra-test"
project_id = "example"
region     = "southamerica-east1"
