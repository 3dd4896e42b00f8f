"""Releases and tables as the routes describe them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from query_service.formats.encoders import column_list
from query_service.releases import table_name

if TYPE_CHECKING:
    from query_service.release_store import LoadedRelease


def iso(moment: dt.datetime | None) -> str | None:
    """Return a moment as ISO 8601 in UTC, with Z."""
    if moment is None:
        return None
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def describe_snapshot(loaded: LoadedRelease) -> dict[str, Any]:
    """Return the body of ``GET /v1/snapshot``."""
    return {
        "id": loaded.id,
        "environment": loaded.release.environment,
        "released_at": iso(loaded.release.created_at),
        "data_through": iso(loaded.data_through()),
        "loaded_at": iso(loaded.loaded_at),
        "tables": len(loaded.release.tables),
    }


def describe_environments(environments: dict[str, LoadedRelease | None]) -> dict[str, Any]:
    """Return the body of ``GET /v1/environments``."""
    return {
        "environments": [
            {
                "name": name,
                "ready": loaded is not None,
                "snapshot": describe_snapshot(loaded) if loaded else None,
            }
            for name, loaded in environments.items()
        ]
    }


def describe_tables(loaded: LoadedRelease) -> dict[str, Any]:
    """Return the body of ``GET /v1/tables``."""
    cached = {table.name: table for table in loaded.report.cached}
    return {
        "tables": [
            {
                "schema": table.schema_name,
                "name": table.table_name,
                "description": table.description,
                "row_count": cached[table_name(table)].row_count,
                "bytes": cached[table_name(table)].bytes,
                "data_through": iso(table.data_through),
                "cached": not cached[table_name(table)].is_cold,
            }
            for table in loaded.release.tables
        ]
    }


def describe_table(loaded: LoadedRelease, name: str) -> dict[str, Any] | None:
    """Return the body of ``GET /v1/tables/{schema}/{table}``, or None for an unknown table."""
    table = loaded.by_name.get(name)
    if table is None:
        return None
    cached = next(c for c in loaded.report.cached if c.name == name)
    comments = {column["name"]: column.get("description") or "" for column in table.columns}
    return {
        "schema": table.schema_name,
        "name": table.table_name,
        "description": table.description,
        "columns": [
            {
                "name": column["name"],
                "type": column["type"],
                "nullable": field.nullable,
                "description": comments.get(column["name"], ""),
            }
            for column, field in zip(column_list(cached.schema), cached.schema, strict=True)
        ],
        "grain": table.grain,
        "time_column": table.time_column,
        "row_count": cached.row_count,
        "bytes": cached.bytes,
        "data_through": iso(table.data_through),
        "upstream": table.upstream,
        "audits": table.audits,
        "cached": not cached.is_cold,
    }
