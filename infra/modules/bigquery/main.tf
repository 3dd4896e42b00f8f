# Gold in BigQuery: a dataset for each of its schemas, and in it a table for each that is named, over
# the Parquet that `lavra release export` writes. DuckLake's own files are never read.
resource "google_bigquery_dataset" "gold" {
  for_each = toset([for table in var.tables : split(".", table)[0]])

  project                    = var.project_id
  dataset_id                 = "${replace(var.name, "-", "_")}_${each.key}"
  delete_contents_on_destroy = true # tables over files: there is nothing else in it
  description                = "Released tables of ${var.name}, exported by Lavra."
  labels                     = var.labels
  location                   = var.location

  dynamic "default_encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_table" "gold" {
  for_each = var.tables

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.gold[split(".", each.key)[0]].dataset_id
  deletion_protection = false
  description         = "${each.key} as of the last exported release."
  labels              = var.labels
  table_id            = split(".", each.key)[1]

  # The manifest stays where it is and is replaced with each export: the table need never change.
  external_data_configuration {
    autodetect         = true
    file_set_spec_type = "FILE_SET_SPEC_TYPE_NEW_LINE_DELIMITED_MANIFEST"
    source_format      = "PARQUET"
    source_uris        = ["${var.lake_url}/${local.folder}/tables/${each.key}.manifest"]

    parquet_options {
      enable_list_inference = true
    }
  }
}

locals {
  bucket = split("/", trimprefix(var.lake_url, "gs://"))[0]
  prefix = join("/", slice(split("/", trimprefix(var.lake_url, "gs://")), 1, length(split("/", trimprefix(var.lake_url, "gs://")))))

  folder = "export/${var.environment}"
  path   = join("/", compact([local.prefix, local.folder]))
}
