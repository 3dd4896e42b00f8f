"""What the service reads of releases from the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lavra.errors import ReleaseError
from lavra.releases.store import CHANNEL, PRODUCTION, Release, ReleaseTable, get_release

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "CHANNEL",
    "PRODUCTION",
    "Release",
    "ReleaseTable",
    "current_release_ids",
    "read_release",
    "table_name",
]


def table_name(table: ReleaseTable) -> str:
    """Return a table's name as it is queried: ``schema.table``."""
    return f"{table.schema_name}.{table.table_name}"


def current_release_ids(connection: psycopg.Connection) -> dict[str, int]:
    """Return the id of the current release of every environment that has one."""
    rows = connection.execute("select environment, max(id) from lavra.release group by 1")
    return dict(rows.fetchall())


def read_release(connection: psycopg.Connection, release_id: int) -> Release | None:
    """Return a release with its tables, or None if there is none of that id."""
    try:
        return get_release(connection, release_id)
    except ReleaseError:
        return None
