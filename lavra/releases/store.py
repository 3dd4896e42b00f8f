"""Releases as the catalog keeps them.

The current release of an environment is the one with the highest id. Rows are only ever added:
a rollback is a new release that shows an earlier snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from psycopg.rows import dict_row

from lavra.errors import ReleaseError

if TYPE_CHECKING:
    import psycopg

PRODUCTION = "prod"
CHANNEL = "lavra_release"
"""``NOTIFY`` channel; the payload is ``<environment>:<release id>``."""

Cause = Literal["plan", "run", "make", "rollback"]


@dataclass(frozen=True)
class ReleaseTable:
    """One served table of a release, as it is at the release's snapshot.

    ``columns`` are ``{"name", "type", "description", "tags"}``, types in DuckDB's words;
    ``audits`` are ``{"name", "passed", "blocking", "passed_at"}``: one that is not blocking may
    have failed. ``bytes`` is the size of its data files, ``data_through`` the end of the latest
    interval loaded into it.
    """

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
    data_through: datetime | None


@dataclass(frozen=True)
class Release:
    """One release: the DuckLake snapshot that the readers of an environment see."""

    id: int
    environment: str
    snapshot_id: int
    created_at: datetime
    cause: Cause
    restored_release_id: int | None
    git_commit: str | None
    tables: list[ReleaseTable] = field(default_factory=list)

    @property
    def data_through(self) -> datetime | None:
        """The earliest ``data_through`` over its tables; None if one has none."""
        times = [table.data_through for table in self.tables]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return asdict(self) | {"data_through": self.data_through}


_COLUMNS = "id, environment, snapshot_id, created_at, cause, restored_release_id, git_commit"
_TABLE_COLUMNS = tuple(ReleaseTable.__dataclass_fields__)
_JSON_COLUMNS = {"columns", "grain", "upstream", "audits"}


def current_release(
    connection: psycopg.Connection, environment: str = PRODUCTION
) -> Release | None:
    """Return what an environment's readers see now, or None before its first release."""
    found = list_releases(connection, environment, limit=1)
    return found[0] if found else None


def get_release(connection: psycopg.Connection, release_id: int) -> Release:
    """Return one release.

    Raises:
        ReleaseError: there is none with this id.
    """
    found = _read(connection, "where id = %s", (release_id,))
    if not found:
        raise ReleaseError(
            f"There is no release {release_id}.", remedy="`lavra release list` shows them."
        )
    return found[0]


def list_releases(
    connection: psycopg.Connection, environment: str | None = None, *, limit: int = 50
) -> list[Release]:
    """Return the newest releases, of one environment or of all, newest first."""
    return _read(
        connection,
        "where environment = coalesce(%s, environment) order by id desc limit %s",
        (environment, limit),
    )


def insert_release(
    connection: psycopg.Connection,
    *,
    environment: str,
    snapshot_id: int,
    cause: Cause,
    tables: Sequence[ReleaseTable],
    git_commit: str | None = None,
    restored_release_id: int | None = None,
) -> int:
    """Add a release with its tables, in the connection's transaction; return its id.

    Listeners hear of it when the transaction commits.
    """
    row = connection.execute(
        "insert into lavra.release (environment, snapshot_id, cause, restored_release_id, "
        "git_commit) values (%s, %s, %s, %s, %s) returning id",
        (environment, snapshot_id, cause, restored_release_id, git_commit),
    ).fetchone()
    assert row is not None  # noqa: S101 - RETURNING yields the row inserted
    release_id = int(row[0])
    names = ("release_id", *_TABLE_COLUMNS)
    statement = (
        f"insert into lavra.release_table ({', '.join(names)}) "  # noqa: S608 - our own names
        f"values ({', '.join(['%s'] * len(names))})"
    )
    for table in tables:
        values = [
            json.dumps(getattr(table, name)) if name in _JSON_COLUMNS else getattr(table, name)
            for name in _TABLE_COLUMNS
        ]
        connection.execute(statement.encode(), (release_id, *values))
    return release_id


def retained_snapshots(connection: psycopg.Connection, *, keep: int = 50) -> set[int]:
    """Return the DuckLake snapshots that must not expire.

    The one rule of retention: a snapshot lives as long as it is that of one of the newest
    ``keep`` releases of any environment. Whatever expires snapshots asks here, under the
    lake's write lock, so that no release is made or restored meanwhile.
    """
    rows = connection.execute(
        "select snapshot_id from (select snapshot_id, row_number() over "
        "(partition by environment order by id desc) as age from lavra.release) r where age <= %s",
        (keep,),
    )
    return {int(row[0]) for row in rows.fetchall()}


def _read(
    connection: psycopg.Connection, condition: str, parameters: Sequence[Any]
) -> list[Release]:
    with connection.cursor(row_factory=dict_row) as cursor:
        query = f"select {_COLUMNS} from lavra.release {condition}"  # noqa: S608 - our own words
        releases = cursor.execute(query.encode(), parameters).fetchall()
        tables: dict[int, list[ReleaseTable]] = {row["id"]: [] for row in releases}
        rows = cursor.execute(
            "select * from lavra.release_table where release_id = any(%s) "
            "order by schema_name, table_name",
            (list(tables),),
        )
        for row in rows.fetchall():
            release_id = row.pop("release_id")
            tables[release_id].append(ReleaseTable(**row))
    return [Release(**row, tables=tables[row["id"]]) for row in releases]
