"""Identities that Superset keeps: derived from names, so that YAML needs none."""

from __future__ import annotations

from uuid import UUID, uuid5

_NAMESPACE = UUID("6f1c4c9e-2c5b-5b0e-9a55-1a57a0000004")
PRODUCTION = "prod"
SYSTEM_SCHEMA = "lavra"
SYSTEM_TABLE = "tables"
"""What the service says of the release, as a table."""


def database_uuid(environment: str = PRODUCTION) -> str:
    """The database: the query service, in one environment."""
    return _of("database", "lavra", environment)


def dataset_uuid(full_name: str, environment: str = PRODUCTION) -> str:
    """A dataset, by ``schema.table``."""
    return _of("dataset", full_name, environment)


def chart_uuid(name: str, environment: str = PRODUCTION) -> str:
    """A chart, by its file's name."""
    return _of("chart", name, environment)


def dashboard_uuid(slug: str, environment: str = PRODUCTION) -> str:
    """A dashboard, by its file's name."""
    return _of("dashboard", slug, environment)


def dashboard_slug(slug: str, environment: str = PRODUCTION) -> str:
    """A dashboard's address in Superset."""
    return slug if environment == PRODUCTION else f"{slug}__{environment}"


def _of(kind: str, name: str, environment: str) -> str:
    return str(uuid5(_NAMESPACE, f"{environment}/{kind}/{name}"))
