"""The settings of the gateway to BigQuery: fields alone, as those of the other areas."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class BigQuerySettings(BaseModel):
    """Where the models run, and BigQuery if it is there."""

    models_gateway: Literal["lake", "bigquery"] = Field(
        default="lake",
        description="Where SQLMesh runs the models: on the lake, or in BigQuery.",
    )
    bigquery_project: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9-]{4,28}[a-z0-9])?$",
        description="The Google Cloud project in whose BigQuery the models run.",
    )
    bigquery_location: str = Field(
        default="",
        pattern=r"^([A-Za-z]+|[a-z]+-[a-z]+[0-9]+)?$",
        description="Where its datasets are, for example southamerica-east1 or EU.",
    )
    bigquery_landing_prefix: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_]*$",
        description="What stands before a namespace in the name of the dataset that Airbyte lands "
        "it in.",
    )
    bigquery_impersonate: str = Field(
        default="",
        pattern=r"^([^@\s]+@[^@\s]+\.gserviceaccount\.com)?$",
        description="Service account to act as there. Empty: the machine's own identity.",
    )
