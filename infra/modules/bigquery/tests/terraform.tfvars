lake_url   = "gs://acme-lavra-test/lake"
location   = "southamerica-east1"
name       = "lavra-test"
project_id = "example"
tables     = ["gold_shop.orders", "gold_shop.totals", "gold_web.clicks"]
