image      = "southamerica-east1-docker.pkg.dev/example/lavra-test/job@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
name       = "lavra-test-fleet"
network_id = "projects/example/global/networks/lavra-test"
project_id = "example"
region     = "southamerica-east1"
vpc        = { network = "lavra-test", subnetwork = "lavra-test-run" }
