"""Making a release: apply the rule, describe the tables at one snapshot, add the row."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from lavra.ducklake import LAKE, attach_lake, connect_duckdb
from lavra.errors import ReleaseError
from lavra.releases.lake_writes import (
    last_writes,
    newest_snapshot,
    snapshot_exists,
    table_bytes,
)
from lavra.releases.ledger import Evaluation, read_ledger
from lavra.releases.rule import Blocked, EnvironmentTable, check, record_blocked, relevant_tables
from lavra.releases.store import (
    Cause,
    Release,
    ReleaseTable,
    current_release,
    get_release,
    insert_release,
    list_releases,
)

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog
    from lavra.releases.write_lock import WriteSession
    from lavra.storage import LakeStorage


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt to release.

    Exactly one holds: ``release`` was made; ``blocked`` says why not; or neither, since nothing
    has changed since the last release (or there is nothing to serve).
    """

    release: Release | None = None
    blocked: list[Blocked] = field(default_factory=list)


def make_release(
    session: WriteSession,
    catalog: Catalog,
    storage: LakeStorage,
    *,
    environment: str,
    cause: Cause,
    tables: Mapping[str, EnvironmentTable],
    is_finalized: bool = True,
    project: Path | None = None,
) -> Outcome:
    """Release an environment if the rule allows it and there is something new.

    The snapshot is the lake's newest, taken under the write lock, so nothing is half-written in
    it. A crash before the row is committed leaves the last release current; the next attempt
    makes it.

    Args:
        session: The held write lock.
        catalog: The catalog.
        storage: The lake's files.
        environment: The SQLMesh environment.
        cause: What led to it.
        tables: The environment's models, by SQLMesh's name.
        is_finalized: False while a plan's promotion of the environment is unfinished.
        project: Whose git commit to note down.
    """
    connection = session.connection
    # The snapshot first: what is written after it is not in the release.
    snapshot_id = newest_snapshot(connection)
    evaluations, writes = read_ledger(connection), last_writes(connection)
    blocked = check(tables, evaluations, writes)
    if not is_finalized:
        blocked.append(
            Blocked(
                environment,
                "the plan that changed this environment did not finish",
                "Run `sqlmesh plan` again.",
            )
        )
    record_blocked(connection, environment, blocked)
    if blocked:
        return Outcome(blocked=blocked)
    served = [table for table in relevant_tables(tables).values() if table.is_served]
    if not served or snapshot_id is None:
        return Outcome()
    if not _is_news(connection, environment, tables, writes, evaluations):
        return Outcome()
    described = describe_tables(
        catalog,
        storage,
        snapshot_id,
        served,
        evaluations=evaluations,
        sizes=table_bytes(connection, snapshot_id),
    )
    with connection.transaction():
        release_id = insert_release(
            connection,
            environment=environment,
            snapshot_id=snapshot_id,
            cause=cause,
            tables=described,
            git_commit=git_commit(project) if project else None,
        )
    return Outcome(release=get_release(connection, release_id))


def roll_back(session: WriteSession, release_id: int, environment: str | None = None) -> Release:
    """Make an earlier release current again, as a new release of its environment.

    Raises:
        ReleaseError: there is no such release, it is of another environment, it is current
            already, or its snapshot has expired.
    """
    connection = session.connection
    target = get_release(connection, release_id)
    if environment is not None and target.environment != environment:
        raise ReleaseError(
            f"Release {release_id} is of environment {target.environment}, not {environment}."
        )
    current = current_release(connection, target.environment)
    if current is not None and current.snapshot_id == target.snapshot_id:
        raise ReleaseError(f"{target.environment} shows the snapshot of release {release_id} now.")
    if not snapshot_exists(connection, target.snapshot_id):
        raise ReleaseError(
            f"Snapshot {target.snapshot_id} of release {release_id} has expired.",
            remedy="`lavra release list` shows which releases can still be restored.",
        )
    with connection.transaction():
        new_id = insert_release(
            connection,
            environment=target.environment,
            snapshot_id=target.snapshot_id,
            cause="rollback",
            tables=target.tables,
            git_commit=target.git_commit,
            restored_release_id=target.id,
        )
    return get_release(connection, new_id)


def _is_news(
    connection: psycopg.Connection,
    environment: str,
    tables: Mapping[str, EnvironmentTable],
    writes: Mapping[str, int],
    evaluations: Mapping[str, Evaluation],
) -> bool:
    """Whether the environment differs from its last release that was not a rollback.

    A rollback is a person's decision: only new data or a new plan may overrule it.
    """
    made = [r for r in list_releases(connection, environment, limit=500) if r.cause != "rollback"]
    if not made:
        return True
    last = made[0]
    served = {t.name: t for t in relevant_tables(tables).values() if t.is_served}
    before = {f"{t.schema_name}.{t.table_name}": t for t in last.tables}
    if served.keys() != before.keys():
        return True
    for name, table in served.items():
        physical = f"{before[name].physical_schema}.{before[name].physical_table}"
        described = {c["name"]: c["description"] for c in before[name].columns}
        tagged = {c["name"]: c["tags"] for c in before[name].columns if c.get("tags")}
        if (
            table.physical_table != physical
            or table.description != before[name].description
            or table.tags != tagged
            or any(described.get(k, v) != v for k, v in table.column_descriptions.items())
        ):
            return True
    newest = max(
        (
            max(writes.get(t.physical_table, 0), evaluations[t.physical_table].lake_snapshot or 0)
            for t in relevant_tables(tables).values()
        ),
        default=0,
    )
    return newest > last.snapshot_id


def describe_tables(
    catalog: Catalog,
    storage: LakeStorage,
    snapshot_id: int,
    tables: list[EnvironmentTable],
    *,
    evaluations: Mapping[str, Evaluation],
    sizes: Mapping[str, int],
) -> list[ReleaseTable]:
    """Read what a release says of its tables from the lake itself, at the release's snapshot.

    Raises:
        ReleaseError: a table cannot be read at that snapshot.
    """
    connection = connect_duckdb(storage)
    try:
        attach_lake(connection, catalog, storage, read_only=True, snapshot_version=snapshot_id)
        return [_described(connection, t, evaluations, sizes) for t in tables]
    except duckdb.Error as error:
        raise ReleaseError(f"The lake cannot be read at snapshot {snapshot_id}: {error}") from error
    finally:
        connection.close()


def _described(
    connection: duckdb.DuckDBPyConnection,
    table: EnvironmentTable,
    evaluations: Mapping[str, Evaluation],
    sizes: Mapping[str, int],
) -> ReleaseTable:
    schema, name = table.physical_table.split(".", 1)
    relation = f'"{LAKE}"."{schema}"."{name}"'
    columns: list[dict[str, Any]] = [
        {
            "name": column,
            "type": kind,
            "description": table.column_descriptions.get(column, ""),
            "tags": table.tags.get(column, []),
        }
        for column, kind, *_ in connection.execute(f"describe {relation}").fetchall()
    ]
    count = connection.execute(f"select count(*) from {relation}").fetchall()[0][0]  # noqa: S608
    evaluation = evaluations[table.physical_table]
    return ReleaseTable(
        schema_name=table.schema_name,
        table_name=table.table_name,
        physical_schema=schema,
        physical_table=name,
        description=table.description,
        columns=columns,
        grain=table.grain,
        time_column=table.time_column,
        upstream=sorted(_query_name(model) for model in table.reads),
        audits=evaluation.audits,
        row_count=int(count),
        bytes=sizes.get(table.physical_table, 0),
        data_through=table.data_through,
    )


def _query_name(model: str) -> str:
    return ".".join(part.strip('"') for part in model.split(".")[-2:])


def git_commit(project: Path) -> str | None:
    """Return the commit that the project's folder stands at, or None outside of git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(project), "rev-parse", "HEAD"],
            capture_output=True, text=True, check=False, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
