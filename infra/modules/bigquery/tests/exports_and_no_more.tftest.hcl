mock_provider "google" {}

run "exports_and_no_more" {
  command = plan

  variables {
    kms_key = "projects/example/locations/southamerica-east1/keyRings/r/cryptoKeys/k"
    readers = { analysts = "group:analysts@example.com" }
  }

  assert {
    condition     = toset([for dataset in google_bigquery_dataset.gold : dataset.dataset_id]) == toset(["lavra_test_gold_shop", "lavra_test_gold_web"]) && alltrue([for dataset in google_bigquery_dataset.gold : dataset.location == "southamerica-east1"])
    error_message = "Each schema of Gold must be a dataset, where the bucket is."
  }
  assert {
    condition     = { for name, table in google_bigquery_table.gold : name => one(table.external_data_configuration).source_uris[0] } == { for table in ["gold_shop.orders", "gold_shop.totals", "gold_web.clicks"] : table => "gs://acme-lavra-test/lake/export/prod/tables/${table}.manifest" }
    error_message = "Each table must read its manifest of the export, and never DuckLake's own files."
  }
  assert {
    condition     = alltrue([for table in google_bigquery_table.gold : one(table.external_data_configuration).file_set_spec_type == "FILE_SET_SPEC_TYPE_NEW_LINE_DELIMITED_MANIFEST" && one(table.external_data_configuration).source_format == "PARQUET"])
    error_message = "The manifest must be read as one: as a list of Parquet files."
  }
  assert {
    condition     = { for name, member in google_storage_bucket_iam_member.readers : "${member.bucket} ${member.role} ${member.member}" => one(member.condition).expression } == { "acme-lavra-test roles/storage.objectViewer group:analysts@example.com" = "resource.name.startsWith('projects/_/buckets/acme-lavra-test/objects/lake/export/prod/')" }
    error_message = "Readers must reach the export's files, and nothing else of the lake."
  }
  assert {
    condition     = toset([for member in google_bigquery_dataset_iam_member.readers : "${member.dataset_id} ${member.role} ${member.member}"]) == toset(["lavra_test_gold_shop roles/bigquery.dataViewer group:analysts@example.com", "lavra_test_gold_web roles/bigquery.dataViewer group:analysts@example.com"])
    error_message = "Readers must read the datasets, and not change them."
  }
  assert {
    condition     = alltrue([for dataset in google_bigquery_dataset.gold : try(one(dataset.default_encryption_configuration).kms_key_name, null) == var.kms_key])
    error_message = "A key of one's own must be used when given."
  }
  assert {
    condition     = output.tables["gold_shop.orders"] == "example.lavra_test_gold_shop.orders"
    error_message = "It must be told what the tables are called."
  }
}

run "at_the_root_of_a_bucket" {
  command = plan

  variables {
    lake_url = "gs://acme-lavra-test"
    readers  = { analysts = "group:analysts@example.com" }
  }

  assert {
    condition     = one(google_storage_bucket_iam_member.readers["analysts"].condition).expression == "resource.name.startsWith('projects/_/buckets/acme-lavra-test/objects/export/prod/')"
    error_message = "A lake without a prefix must be found too."
  }
}
