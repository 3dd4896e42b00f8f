prefix     = "lavra-test"
project_id = "example"
