bucket          = "acme-lavra-test"
catalog         = { ca_secret = "lavra-test-catalog-ca", url_secret = "lavra-test-catalog-url-worker" }
image           = "southamerica-east1-docker.pkg.dev/example/lavra-test/job@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
lake_url        = "gs://acme-lavra-test"
name            = "lavra-test-receiver"
project_id      = "example"
project_number  = "123"
region          = "southamerica-east1"
service_account = "worker@example.iam.gserviceaccount.com"
vpc             = { network = "lavra-test", subnetwork = "lavra-test-run" }
