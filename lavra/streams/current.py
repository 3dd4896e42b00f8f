"""The present state of a table, from its changes."""

from __future__ import annotations

from collections.abc import Sequence

from lavra.landing.inference import quoted
from lavra.streams.source import DELETED_AT, SEQUENCE


def current_rows_sql(relation: str, key: Sequence[str]) -> str:
    """Return DuckDB SQL for the rows that exist now: of each key the latest, unless deleted.

    A row without a key and with ``_ab_cdc_deleted_at`` empties the table: nothing before it
    counts.

    Args:
        relation: The changes: a table, view, or subquery in parentheses.
        key: Columns that identify a row.
    """
    names = ", ".join(quoted(name) for name in key)
    first = quoted(key[0])
    emptied = (
        f"SELECT COALESCE(MAX({SEQUENCE}), -1) FROM {relation} AS emptied "
        f"WHERE {first} IS NULL AND {DELETED_AT} IS NOT NULL"
    )
    latest = (
        f"SELECT * FROM {relation} AS changes WHERE {SEQUENCE} > ({emptied}) "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {names} ORDER BY {SEQUENCE} DESC) = 1"
    )
    return f"SELECT * FROM ({latest}) AS latest WHERE {DELETED_AT} IS NULL"
