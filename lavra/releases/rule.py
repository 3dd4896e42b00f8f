"""The rule that decides whether an environment may be released.

An environment is released only if each of its served tables, and each table that these are made
from, directly or not,

1. has been evaluated, and no evaluation of it is unfinished (failed, killed, or skipped because
   its input failed);
2. was last written before the audits of its last finished evaluation passed, so that no rows
   stand in it that no audit has seen, whoever wrote them;
3. has been evaluated since each table it reads was.

The first two are about a table by itself. The third keeps tables consistent with one another:
without it, a run of one model alone would release it beside others made from older data.
Nothing here depends on which run did what, so a later success elsewhere cannot release rows that
failed, and the run that repairs them releases everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lavra.releases.ledger import Evaluation

if TYPE_CHECKING:
    import psycopg

SERVED_PREFIX = "gold_"
"""Schemas whose tables the service serves."""


@dataclass(frozen=True)
class EnvironmentTable:
    """One model of an environment, as the rule and a release need it.

    ``physical_table`` is ``schema.table`` in DuckLake. ``reads`` maps the model's name of each
    table that it reads to that table's physical name. ``schema_name`` and ``table_name`` are as
    people query them, without the environment.
    """

    model: str
    schema_name: str
    table_name: str
    physical_table: str
    reads: dict[str, str]
    description: str = ""
    column_descriptions: dict[str, str] = field(default_factory=dict)
    grain: list[str] = field(default_factory=list)
    time_column: str | None = None
    data_through: datetime | None = None
    tags: dict[str, list[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The table as people query it."""
        return f"{self.schema_name}.{self.table_name}"

    @property
    def is_served(self) -> bool:
        """Whether the service serves it."""
        return self.schema_name.startswith(SERVED_PREFIX)


@dataclass(frozen=True)
class Blocked:
    """One reason why an environment is not released."""

    model: str
    reason: str
    remedy: str


def relevant_tables(tables: Mapping[str, EnvironmentTable]) -> dict[str, EnvironmentTable]:
    """Return the served tables and all that they are made from, by model."""
    found: dict[str, EnvironmentTable] = {}
    waiting = [name for name, table in tables.items() if table.is_served]
    while waiting:
        name = waiting.pop()
        if name in tables and name not in found:
            found[name] = tables[name]
            waiting.extend(tables[name].reads)
    return found


def check(
    tables: Mapping[str, EnvironmentTable],
    evaluations: Mapping[str, Evaluation],
    writes: Mapping[str, int],
) -> list[Blocked]:
    """Apply the rule; an empty list means that the environment may be released.

    Args:
        tables: The environment's models, by SQLMesh's name.
        evaluations: The ledger, by physical table.
        writes: The snapshot of each physical table's last write (views have none).
    """
    relevant = relevant_tables(tables)
    blocked = []
    for table in relevant.values():
        evaluation = evaluations.get(table.physical_table)
        problem = _problem(table, evaluation, writes) or _stale(table, evaluation, evaluations)
        if problem:
            blocked.append(Blocked(table.name, *problem))
    return sorted(blocked, key=lambda b: b.model)


def _problem(
    table: EnvironmentTable, evaluation: Evaluation | None, writes: Mapping[str, int]
) -> tuple[str, str] | None:
    if evaluation is not None and evaluation.is_pending:
        since = f"{evaluation.pending_since:%Y-%m-%d %H:%M:%S} UTC"
        why = evaluation.pending_reason or "it was interrupted"
        return f"its evaluation of {since} has not finished: {why}", "`sqlmesh run` repeats it."
    if evaluation is None or evaluation.number is None:
        return (
            "it has never been evaluated",
            f"`sqlmesh plan --restate-model {table.name}` fills it.",
        )
    if writes.get(table.physical_table, 0) > (evaluation.lake_snapshot or 0):
        return (
            "its rows were changed after its audits last passed, and not by SQLMesh",
            f"`sqlmesh plan --restate-model {table.name}` rebuilds it.",
        )
    return None


def _stale(
    table: EnvironmentTable,
    evaluation: Evaluation | None,
    evaluations: Mapping[str, Evaluation],
) -> tuple[str, str] | None:
    if evaluation is None:
        return None
    for model, physical_table in table.reads.items():
        parent = evaluations.get(physical_table)
        expected = [physical_table, parent.number if parent else None]
        if evaluation.inputs.get(f"model:{model}") != expected:
            return (
                f"it has not been evaluated since {_plain(model)}, which it reads, was",
                "`sqlmesh run` brings it up to date.",
            )
    return None


def _plain(model: str) -> str:
    return ".".join(part.strip('"') for part in model.split(".")[-2:])


def record_blocked(
    connection: psycopg.Connection, environment: str, blocked: Iterable[Blocked]
) -> None:
    """Replace what the catalog says of why an environment was not released."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("delete from lavra.release_blocked where environment = %s", (environment,))
        cursor.executemany(
            "insert into lavra.release_blocked (environment, model, reason, remedy) "
            "values (%s, %s, %s, %s)",
            [(environment, b.model, b.reason, b.remedy) for b in blocked],
        )


def list_blocked(
    connection: psycopg.Connection, environment: str | None = None
) -> list[dict[str, Any]]:
    """Return why environments were not released at their last try, for ``lavra status``.

    Each is ``{"environment", "model", "reason", "remedy", "blocked_at"}``.
    """
    rows = connection.execute(
        "select environment, model, reason, remedy, blocked_at from lavra.release_blocked "
        "where environment = coalesce(%s, environment) order by environment, model",
        (environment,),
    )
    names = ("environment", "model", "reason", "remedy", "blocked_at")
    return [dict(zip(names, row, strict=True)) for row in rows.fetchall()]
