"""What the service reads of releases from the catalog."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

if TYPE_CHECKING:
    import psycopg

CHANNEL = "lavra_release"
DEFAULT_ENVIRONMENT = "prod"


@dataclass(frozen=True)
class ReleasedTable:
    """One table of a release, as ``lavra.release_table`` describes it."""

    schema_name: str
    table_name: str
    physical_schema: str
    physical_table: str
    description: str
    columns: list[dict[str, Any]]
    grain: list[str]
    time_column: str | None
    upstream: list[str]
    audits: list[dict[str, Any]]
    row_count: int
    bytes: int
    data_through: dt.datetime | None

    @property
    def name(self) -> str:
        """The name as it is queried: ``schema.table``."""
        return f"{self.schema_name}.{self.table_name}"


@dataclass(frozen=True)
class Release:
    """One release: every table at one DuckLake snapshot."""

    id: int
    environment: str
    snapshot_id: int
    created_at: dt.datetime
    tables: tuple[ReleasedTable, ...]


def current_release_ids(connection: psycopg.Connection) -> dict[str, int]:
    """Return the id of the current release of every environment that has one."""
    rows = connection.execute("select environment, max(id) from lavra.release group by 1")
    return dict(rows.fetchall())


def read_release(connection: psycopg.Connection, release_id: int) -> Release | None:
    """Return a release with its tables, or None if there is none of that id."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "select id, environment, snapshot_id, created_at from lavra.release where id = %s",
            (release_id,),
        )
        head = cursor.fetchone()
        if head is None:
            return None
        cursor.execute(
            "select schema_name, table_name, physical_schema, physical_table, description, "
            "columns, grain, time_column, upstream, audits, row_count, bytes, data_through "
            "from lavra.release_table where release_id = %s order by schema_name, table_name",
            (release_id,),
        )
        return Release(**head, tables=tuple(ReleasedTable(**row) for row in cursor.fetchall()))
