"""Landing: from a source to Parquet in Bronze, as `airbyte/connections/*.yaml` says."""
