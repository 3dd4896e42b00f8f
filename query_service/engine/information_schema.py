"""The standard views of a release's own tables, for clients that ask what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from query_service.cache.release_file import CachedTable

CATALOG = "lake"
INFORMATION_SCHEMA = "information_schema"


def information_schema(tables: list[CachedTable]) -> dict[str, pa.Table]:
    """Return the standard views of the release's own tables: schemata, tables, views, columns."""
    schemas = sorted({table.schema_name for table in tables})
    return {
        "schemata": _rows(
            ["catalog_name", "schema_name"], [(CATALOG, schema) for schema in schemas]
        ),
        "tables": _rows(
            ["table_catalog", "table_schema", "table_name", "table_type"],
            [(CATALOG, t.schema_name, t.table_name, "BASE TABLE") for t in tables],
        ),
        "views": _rows(["table_catalog", "table_schema", "table_name", "definition"], []),
        "columns": _columns(tables),
    }


def _rows(names: list[str], rows: list[tuple[str, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    return pa.table(
        {name: pa.array(list(c), pa.string()) for name, c in zip(names, columns, strict=True)}
    )


def _columns(tables: list[CachedTable]) -> pa.Table:
    fields = [(t, i, f) for t in tables for i, f in enumerate(t.schema, start=1)]
    named = _rows(
        ["table_catalog", "table_schema", "table_name", "column_name", "data_type", "is_nullable"],
        [
            (
                CATALOG, t.schema_name, t.table_name, f.name, str(f.type),
                "YES" if f.nullable else "NO",
            )
            for t, _, f in fields
        ],
    )  # fmt: skip
    positions = pa.array([i for _, i, _ in fields], pa.int64())
    return named.append_column("ordinal_position", positions)
