catalog         = { ca_secret = "lavra-test-catalog-ca", url_secret = "lavra-test-catalog-url-superset" }
image           = "southamerica-east1-docker.pkg.dev/example/lavra-test/superset@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
name            = "lavra-test-superset"
project_id      = "example"
region          = "southamerica-east1"
service         = { url = "https://service.example.run.app" }
service_account = "superset@example.iam.gserviceaccount.com"
signing_secret  = "lavra-test-superset-signing-secret"
vpc             = { network = "lavra-test", subnetwork = "lavra-test-run" }
