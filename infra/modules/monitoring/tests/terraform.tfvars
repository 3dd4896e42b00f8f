emails     = ["oncall@example.com"]
name       = "lavra-test"
project_id = "example"
