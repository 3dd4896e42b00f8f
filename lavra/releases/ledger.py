"""The ledger of evaluations: what each physical table of the lake is worth.

Before SQLMesh touches a table, the evaluation that begins is written down; when its audits have
passed, the same row says so, with what it had read. Whatever happens in between (a failed
audit, an error, ``kill -9``), the row still says "pending", and the table cannot be released
until an evaluation of the same intervals has finished. SQLMesh's own state cannot tell this: it
keeps a restated interval as done until the restatement has ended.

All of it happens through the connection that holds the lake's write lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from lavra.releases.lake_writes import newest_snapshot

if TYPE_CHECKING:
    import psycopg

Inputs = dict[str, Any]
"""What an evaluation read: ``model:<name>`` to [physical table, its evaluation's number], and
``landed:<namespace>.<stream>`` to the sorted names of the files; ``changes:<stream>.<table>`` to
what moves with every row that a stream lands."""


@dataclass(frozen=True)
class Evaluation:
    """One row of the ledger; ``number`` is None while no evaluation has ever finished."""

    physical_table: str
    model: str
    number: int | None = None
    finished_at: datetime | None = None
    lake_snapshot: int | None = None
    inputs: Inputs = field(default_factory=dict)
    audits: list[dict[str, Any]] = field(default_factory=list)
    pending_since: datetime | None = None
    pending_start: datetime | None = None
    pending_end: datetime | None = None
    pending_reason: str | None = None

    @property
    def is_pending(self) -> bool:
        """Whether an evaluation began that has not finished."""
        return self.pending_since is not None


@dataclass(frozen=True)
class Beginning:
    """An evaluation about to begin: of which table, for which interval."""

    physical_table: str
    model: str
    start: datetime
    end: datetime


def read_ledger(connection: psycopg.Connection) -> dict[str, Evaluation]:
    """Return all evaluations by physical table (``schema.table``)."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("select * from lavra.evaluation").fetchall()
    return {row["physical_table"]: Evaluation(**row) for row in rows}


def begin(connection: psycopg.Connection, beginnings: Iterable[Beginning]) -> None:
    """Write down that these evaluations begin; intervals still pending are joined to them."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into lavra.evaluation as e
                (physical_table, model, pending_since, pending_start, pending_end)
            values (%s, %s, clock_timestamp(), %s, %s)
            on conflict (physical_table) do update set
                model = excluded.model,
                pending_since = excluded.pending_since,
                pending_start = least(e.pending_start, excluded.pending_start),
                pending_end = greatest(e.pending_end, excluded.pending_end),
                pending_reason = null
            """,
            [(b.physical_table, b.model, b.start, b.end) for b in beginnings],
        )


def finish(
    connection: psycopg.Connection,
    physical_table: str,
    inputs: Inputs,
    audits: list[dict[str, Any]],
) -> int:
    """Write down that a table's evaluation has ended with passed audits; return its number."""
    row = connection.execute(
        """
        update lavra.evaluation set
            number = nextval('lavra.evaluation_number'),
            finished_at = clock_timestamp(),
            lake_snapshot = (select max(snapshot_id) from ducklake.ducklake_snapshot),
            inputs = %s, audits = %s,
            pending_since = null, pending_start = null, pending_end = null, pending_reason = null
        where physical_table = %s returning number
        """,
        (json.dumps(inputs), json.dumps(audits, default=str), physical_table),
    ).fetchone()
    assert row is not None  # noqa: S101 - begin() made the row
    return int(row[0])


def fail(connection: psycopg.Connection, physical_table: str, reason: str) -> None:
    """Add to a pending evaluation why it did not finish."""
    connection.execute(
        "update lavra.evaluation set pending_reason = %s "
        "where physical_table = %s and pending_since is not null",
        (reason, physical_table),
    )


def withdraw(connection: psycopg.Connection, physical_tables: Iterable[str]) -> None:
    """Take back beginnings of evaluations that were then not attempted at all."""
    connection.execute(
        "update lavra.evaluation set pending_since = null, pending_start = null, "
        "pending_end = null, pending_reason = null where physical_table = any(%s)",
        (list(physical_tables),),
    )


def rebase(connection: psycopg.Connection, inputs: Mapping[str, Inputs]) -> None:
    """Replace what tables are known to have read, by physical table.

    For a plan that gave a table's input another physical table without rebuilding the table
    itself, because the change does not touch it.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "update lavra.evaluation set inputs = %s where physical_table = %s",
            [(json.dumps(value), table) for table, value in inputs.items()],
        )


def purge(connection: psycopg.Connection) -> None:
    """Forget tables that the lake no longer has."""
    if newest_snapshot(connection) is None:
        return
    connection.execute(
        """
        delete from lavra.evaluation where physical_table not in (
            select s.schema_name || '.' || o.name from (
                select schema_id, table_name as name from ducklake.ducklake_table
                where end_snapshot is null
                union all
                select schema_id, view_name from ducklake.ducklake_view where end_snapshot is null
            ) o join ducklake.ducklake_schema s using (schema_id) where s.end_snapshot is null
        )
        """
    )
