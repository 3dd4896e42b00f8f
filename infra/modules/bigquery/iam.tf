# Who reads an external table reads its files too: these, and no others of the lake.
resource "google_storage_bucket_iam_member" "readers" {
  for_each = var.readers

  bucket = local.bucket
  member = each.value
  role   = "roles/storage.objectViewer"

  condition {
    title      = "only ${local.path}"
    expression = "resource.name.startsWith('projects/_/buckets/${local.bucket}/objects/${local.path}/')"
  }
}

resource "google_bigquery_dataset_iam_member" "readers" {
  for_each = { for pair in setproduct(keys(google_bigquery_dataset.gold), keys(var.readers)) : "${pair[0]} ${pair[1]}" => pair }

  project    = var.project_id
  dataset_id = google_bigquery_dataset.gold[each.value[0]].dataset_id
  member     = var.readers[each.value[1]]
  role       = "roles/bigquery.dataViewer"
}
