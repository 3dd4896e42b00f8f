"""The tables that streams land in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from lavra.ducklake import LAKE
from lavra.errors import CatalogError
from lavra.landing.inference import quoted
from lavra.streams.source import SOURCE_META

if TYPE_CHECKING:
    from lavra.catalog import Catalog

RAW_ID, EXTRACTED_AT = "_airbyte_raw_id", "_airbyte_extracted_at"
META = pa.schema([(RAW_ID, pa.string()), (EXTRACTED_AT, pa.timestamp("us", "UTC")), *SOURCE_META])
"""Columns of every landing table beside the source's own."""


def create_table(
    connection: duckdb.DuckDBPyConnection, stream: str, table: str, columns: dict[str, str]
) -> dict[str, str]:
    """Create a landing table, partitioned by the day on which rows landed; return its columns.

    Columns and partitioning are one commit: a table that is partitioned later on loses readers
    at each flush.
    """
    place = f"{LAKE}.{quoted(f'landing_{stream}')}.{quoted(table)}"
    everything = columns | {field.name: sql_type(field.type) for field in META}
    listed = ", ".join(f"{quoted(name)} {kind}" for name, kind in everything.items())
    at = quoted(EXTRACTED_AT)
    connection.execute("begin transaction")
    connection.execute(f"create schema if not exists {LAKE}.{quoted(f'landing_{stream}')}")
    connection.execute(f"create table if not exists {place} ({listed})")
    connection.execute(
        f"alter table {place} set partitioned by (year({at}), month({at}), day({at}))"
    )
    connection.execute("commit")
    return everything


def ensure_landing_table(
    catalog: Catalog,
    connect: Callable[[], duckdb.DuckDBPyConnection],
    stream: str,
    table: str,
    columns: dict[str, str],
) -> set[str]:
    """Return the columns of a landing table; one that is not there is made with ``columns``.

    Args:
        catalog: The lake's catalog.
        connect: Returns a connection with the lake attached, if one is needed.
        stream: Name of the stream.
        table: Its name in the landing schema.
        columns: DuckDB types by column.

    Raises:
        CatalogError: the table cannot be made.
    """
    found = _landed_columns(catalog, stream, table)
    if found:
        return found
    own = {name: kind for name, kind in columns.items() if name not in META.names}
    with connect() as connection:
        try:
            return set(create_table(connection, stream, table, own))
        except duckdb.Error as error:
            found = _landed_columns(catalog, stream, table)  # the worker may have been first
            if found:
                return found
            raise CatalogError(
                f"landing_{stream}.{table} cannot be made: {str(error).splitlines()[0]}"
            ) from error


def rows_landed(catalog: Catalog) -> int:
    """Return a number that rises with every row that any stream lands."""
    with catalog.connect() as connection:
        exists = connection.execute(
            "select to_regclass('ducklake.ducklake_table_stats')"
        ).fetchone()
        if exists is None or exists[0] is None:
            return 0
        row = connection.execute(
            "select coalesce(sum(n.next_row_id), 0)::bigint from ducklake.ducklake_table t "
            "join ducklake.ducklake_schema s on s.schema_id = t.schema_id "
            "and s.end_snapshot is null "
            "join ducklake.ducklake_table_stats n on n.table_id = t.table_id "
            r"where t.end_snapshot is null and s.schema_name like 'landing\_%' "
            "and t.table_name not in ('_position', '_quarantine')"
        ).fetchone()
    return int(row[0]) if row else 0


def _landed_columns(catalog: Catalog, stream: str, table: str) -> set[str]:
    with catalog.connect() as connection:
        exists = connection.execute("select to_regclass('ducklake.ducklake_column')").fetchone()
        if exists is None or exists[0] is None:
            return set()
        rows = connection.execute(
            "select c.column_name from ducklake.ducklake_column c "
            "join ducklake.ducklake_table t on t.table_id = c.table_id "
            "and t.end_snapshot is null "
            "join ducklake.ducklake_schema s on s.schema_id = t.schema_id "
            "and s.end_snapshot is null "
            "where c.end_snapshot is null and s.schema_name = %s and t.table_name = %s",
            (f"landing_{stream}", table),
        ).fetchall()
    return {row[0] for row in rows}


def sql_type(kind: pa.DataType) -> str:
    """Return how DuckDB names the type of a landed column."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP WITH TIME ZONE" if kind.tz else "TIMESTAMP"
    return {
        pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN", pa.date32(): "DATE",
        pa.time64("us"): "TIME", pa.binary(): "BLOB",
    }.get(kind, "VARCHAR")  # fmt: skip
