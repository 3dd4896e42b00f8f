"""When each table of the lake was last written, from DuckLake's own metadata."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

# Of DuckLake's kinds of change, those that change a table's rows. Compaction does not, nor do
# comments and added columns ("altered_table").
_ROWS_CHANGED = re.compile(
    r"\b(?:inserted_into_table|deleted_from_table|inlined_insert|inlined_delete):(\d+)"
)


def newest_snapshot(connection: psycopg.Connection) -> int | None:
    """Return the lake's newest snapshot, or None for a lake that nobody has attached yet."""
    exists = connection.execute("select to_regclass('ducklake.ducklake_snapshot')").fetchone()
    if exists is None or exists[0] is None:
        return None
    row = connection.execute("select max(snapshot_id) from ducklake.ducklake_snapshot").fetchone()
    return int(row[0]) if row and row[0] is not None else None


def snapshot_exists(connection: psycopg.Connection, snapshot_id: int) -> bool:
    """Whether a snapshot is still there, that is, has not expired."""
    row = connection.execute(
        "select 1 from ducklake.ducklake_snapshot where snapshot_id = %s", (snapshot_id,)
    ).fetchone()
    return row is not None


def last_writes(connection: psycopg.Connection) -> dict[str, int]:
    """Return, for each table (``schema.table``), the snapshot that last changed its rows.

    A table that was created anew counts as written by its creation. Views have no rows of their
    own and are not listed.
    """
    tables = connection.execute(
        """
        select t.table_id, s.schema_name || '.' || t.table_name, min(b.begin_snapshot)
        from ducklake.ducklake_table t
        join ducklake.ducklake_table b using (table_id)
        join ducklake.ducklake_schema s on s.schema_id = t.schema_id and s.end_snapshot is null
        where t.end_snapshot is null group by 1, 2
        """
    ).fetchall()
    names = {int(table_id): str(name) for table_id, name, _ in tables}
    writes = {str(name): int(created) for _, name, created in tables}
    changes = connection.execute(
        "select snapshot_id, changes_made from ducklake.ducklake_snapshot_changes "
        "where changes_made ~ 'insert|delete' order by snapshot_id"
    )
    for snapshot_id, text in changes.fetchall():
        for table_id in _ROWS_CHANGED.findall(text):
            name = names.get(int(table_id))
            if name:
                writes[name] = max(writes[name], int(snapshot_id))
    return writes


def table_bytes(connection: psycopg.Connection, snapshot_id: int) -> dict[str, int]:
    """Return the size of each table's data files at a snapshot, by ``schema.table``."""
    rows = connection.execute(
        """
        select s.schema_name || '.' || t.table_name, sum(f.file_size_bytes)
        from ducklake.ducklake_data_file f
        join ducklake.ducklake_table t using (table_id)
        join ducklake.ducklake_schema s using (schema_id)
        where f.begin_snapshot <= %(at)s and coalesce(f.end_snapshot > %(at)s, true)
          and t.begin_snapshot <= %(at)s and coalesce(t.end_snapshot > %(at)s, true)
          and s.begin_snapshot <= %(at)s and coalesce(s.end_snapshot > %(at)s, true)
        group by 1
        """,
        {"at": snapshot_id},
    )
    return {str(name): int(size) for name, size in rows.fetchall()}
