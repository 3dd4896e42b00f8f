catalog         = { ca_secret = "lavra-test-catalog-ca", url_secret = "lavra-test-catalog-url-service" }
image           = "southamerica-east1-docker.pkg.dev/example/lavra-test/service@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
lake_url        = "gs://acme-lavra-test"
name            = "lavra-test-service"
project_id      = "example"
region          = "southamerica-east1"
service_account = "service@example.iam.gserviceaccount.com"
vpc             = { network = "lavra-test", subnetwork = "lavra-test-run" }
