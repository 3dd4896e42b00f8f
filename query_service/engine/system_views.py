"""The schema ``lavra``: what the release says of its own tables, for SQL and for dashboards.

``lavra.tables`` has one row for each table of the release that the caller may read. It is made
of the release file alone, so whoever sees fewer tables there sees fewer rows here, and it never
says more than the snapshot that answers: nothing in it is the time of the query.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from query_service.cache.release_file import CachedTable

SYSTEM_SCHEMA = "lavra"

TABLES = pa.schema(
    [
        ("schema_name", pa.string()),
        ("table_name", pa.string()),
        ("row_count", pa.int64()),
        ("data_through", pa.timestamp("us")),  # UTC; null when the table does not say
        ("released_at", pa.timestamp("us")),  # UTC
        ("snapshot", pa.string()),
        ("audits_passed", pa.int64()),
        ("audits_failed", pa.int64()),
        ("failed_audits", pa.string()),  # their names, with commas; empty when all passed
    ]
)


def system_views(tables: list[CachedTable]) -> dict[str, pa.Table]:
    """Return the views of the schema ``lavra`` by name."""
    rows = [
        {
            "schema_name": table.schema_name,
            "table_name": table.table_name,
            "row_count": table.row_count,
            "data_through": _naive(table.facts.data_through),
            "released_at": _naive(table.facts.released_at),
            "snapshot": table.facts.snapshot,
            "audits_passed": table.facts.audits_passed,
            "audits_failed": len(table.facts.failed_audits),
            "failed_audits": ", ".join(table.facts.failed_audits),
        }
        for table in tables
        if table.schema_name != SYSTEM_SCHEMA
    ]
    return {"tables": pa.Table.from_pylist(rows, schema=TABLES)}


def _naive(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a moment as the service shows all times: UTC, without a zone."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment else None
