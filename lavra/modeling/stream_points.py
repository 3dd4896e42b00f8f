"""How far the streams have landed, as a run of the models sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from lavra.ducklake import LAKE
from lavra.landing.inference import quoted
from lavra.streams.source import UPDATED_AT
from lavra.streams.tables import EXTRACTED_AT

if TYPE_CHECKING:
    import psycopg


def last_sequence(connection: duckdb.DuckDBPyConnection, stream: str) -> int:
    """Return the number of the last change that has landed of a stream; 0 before any.

    Args:
        connection: With the lake attached.
        stream: Name of the stream.
    """
    position = f"{LAKE}.{quoted(f'landing_{stream}')}._position"
    try:
        row = connection.execute(f"select max(sequence) from {position}").fetchall()[0]  # noqa: S608 - quoted
    except duckdb.CatalogException:
        return 0
    return int(row[0] or 0)


def first_landed(
    connection: duckdb.DuckDBPyConnection, stream: str, table: str, since: int
) -> int | None:
    """Return when the earliest of a table's newer rows was committed or read, epoch milliseconds.

    Args:
        connection: With the lake attached.
        stream: Name of the stream.
        table: Its name in the landing schema.
        since: How many rows had ever landed before the newer ones.
    """
    rows = connection.execute(
        f"select epoch_ms(least(min({EXTRACTED_AT}), min({UPDATED_AT}))) "  # noqa: S608 - quoted
        f"from {LAKE}.{quoted(f'landing_{stream}')}.{quoted(table)} where rowid >= ?",
        [since],
    ).fetchall()
    return None if rows[0][0] is None else int(rows[0][0])


def rows_landed(connection: psycopg.Connection, stream: str, table: str) -> list[int]:
    """Return what changes whenever rows land in a table of a stream: its id, and how many did.

    Empty before the first row.
    """
    found = connection.execute("select to_regclass('ducklake.ducklake_table')").fetchone()
    if found is None or found[0] is None:
        return []
    rows = connection.execute(
        "select t.table_id, s.next_row_id from ducklake.ducklake_table t "
        "join ducklake.ducklake_schema c on c.schema_id = t.schema_id and c.end_snapshot is null "
        "join ducklake.ducklake_table_stats s on s.table_id = t.table_id and s.next_row_id > 0 "
        "where t.end_snapshot is null and c.schema_name = %s and t.table_name = %s",
        (f"landing_{stream}", table),
    ).fetchall()
    return [int(value) for value in rows[0]] if rows else []
