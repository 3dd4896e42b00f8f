project_id = "example"
