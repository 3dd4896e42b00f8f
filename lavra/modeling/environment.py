"""What SQLMesh knows of an environment, in the words of the release rule and the ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlmesh.core import constants as c
from sqlmesh.core.dialect import MacroFunc
from sqlmesh.core.model import Model, SqlModel
from sqlmesh.core.snapshot import DeployabilityIndex, Snapshot, SnapshotId

from lavra.access.tags import split_tags
from lavra.releases.ledger import Evaluation, Inputs
from lavra.releases.rule import EnvironmentTable

if TYPE_CHECKING:
    from sqlmesh.core.context import Context


@dataclass(frozen=True)
class EnvironmentState:
    """An environment as SQLMesh's state has it: its models, and whether its last plan finished."""

    tables: dict[str, EnvironmentTable]
    is_finalized: bool


def deployability(environment: str, snapshots: Collection[Snapshot]) -> DeployabilityIndex:
    """Return which tables an environment reads: production's, or development ones."""
    if environment == c.PROD:
        return DeployabilityIndex.all_deployable()
    return DeployabilityIndex.create(snapshots)


def written_table(snapshot: Snapshot, index: DeployabilityIndex) -> str:
    """Return the physical table that an evaluation of the model writes, ``schema.table``."""
    return _short(snapshot.table_name(is_deployable=index.is_deployable(snapshot)))


def read_table(snapshot: Snapshot, index: DeployabilityIndex) -> str:
    """Return the physical table that readers of the model see, ``schema.table``."""
    return _short(snapshot.table_name(is_deployable=index.is_representative(snapshot)))


def tables_read(
    snapshot: Snapshot, snapshots: Mapping[SnapshotId, Snapshot], index: DeployabilityIndex
) -> dict[str, str]:
    """Return the physical tables that a model reads, by model; embedded models are looked through.

    External tables are left out: they are not the lake's.
    """
    found: dict[str, str] = {}
    waiting = list(snapshot.parents)
    while waiting:
        parent = snapshots.get(waiting.pop())
        if parent is None or not parent.is_model or parent.is_external:
            continue
        if parent.is_embedded:
            waiting.extend(parent.parents)
        elif parent.name != snapshot.name:
            found[parent.name] = read_table(parent, index)
    return found


def landed_read(
    snapshot: Snapshot, snapshots: Mapping[SnapshotId, Snapshot]
) -> set[tuple[str, str]]:
    """Return what lands in files (namespace, stream) and is read by a model with ``@bronze``."""
    return _read_with(snapshot, snapshots, {"bronze"})


def changes_read(
    snapshot: Snapshot, snapshots: Mapping[SnapshotId, Snapshot]
) -> set[tuple[str, str]]:
    """Return the streamed tables (stream, table) whose changes a model reads with ``@stream``."""
    return _read_with(snapshot, snapshots, {"stream", "stream_tail"})


def _read_with(
    snapshot: Snapshot, snapshots: Mapping[SnapshotId, Snapshot], macros: set[str]
) -> set[tuple[str, str]]:
    found = _calls(snapshot.model, macros) if snapshot.is_model else set()
    waiting = list(snapshot.parents)
    while waiting:
        parent = snapshots.get(waiting.pop())
        if parent is not None and parent.is_model and parent.is_embedded:
            found |= _calls(parent.model, macros)
            waiting.extend(parent.parents)
    return found


def inputs_now(
    reads: Mapping[str, str],
    evaluations: Mapping[str, Evaluation],
    landed: Mapping[tuple[str, str], list[str]],
    changes: Mapping[tuple[str, str], list[int]],
) -> Inputs:
    """Return what a model would read now, as the ledger keeps it."""
    inputs: Inputs = {}
    for model, physical_table in reads.items():
        evaluation = evaluations.get(physical_table)
        inputs[f"model:{model}"] = [physical_table, evaluation.number if evaluation else None]
    for (namespace, stream), files in landed.items():
        inputs[f"landed:{namespace}.{stream}"] = sorted(f.rsplit("/", 1)[-1] for f in files)
    for (stream, table), rows in changes.items():
        inputs[f"changes:{stream}.{table}"] = list(rows)
    return inputs


def read_environment(context: Context, name: str) -> EnvironmentState | None:
    """Return an environment's models from SQLMesh's state, or None if it does not exist."""
    environment = context.state_sync.get_environment(name)
    if environment is None:
        return None
    snapshots = context.state_sync.get_snapshots(environment.snapshots)
    index = deployability(environment.name, list(snapshots.values()))
    tables = {
        snapshot.name: _table(snapshot, snapshots, index)
        for snapshot in snapshots.values()
        if snapshot.is_model and not snapshot.is_symbolic
    }
    return EnvironmentState(tables, is_finalized=bool(environment.finalized_ts))


def _table(
    snapshot: Snapshot,
    snapshots: Mapping[SnapshotId, Snapshot],
    index: DeployabilityIndex,
) -> EnvironmentTable:
    model = snapshot.model
    intervals = snapshot.intervals if index.is_representative(snapshot) else snapshot.dev_intervals
    end = intervals[-1][1] if intervals else None
    view = snapshot.fully_qualified_table
    comments = {name: split_tags(text) for name, text in model.column_descriptions.items()}
    return EnvironmentTable(
        model=snapshot.name,
        schema_name=view.db,
        table_name=view.name,
        physical_table=read_table(snapshot, index),
        reads=tables_read(snapshot, snapshots, index),
        description=model.description or "",
        column_descriptions={name: text for name, (text, _) in comments.items()},
        grain=[column.name for grain in model.grains for column in grain.find_all(exp.Column)],
        time_column=model.time_column.column.name if model.time_column else None,
        data_through=dt.datetime.fromtimestamp(end / 1000, dt.UTC) if end else None,
        tags={name: tags for name, (_, tags) in comments.items() if tags},
    )


def _calls(model: Model, macros: set[str]) -> set[tuple[str, str]]:
    if not isinstance(model, SqlModel):
        return set()
    return {
        (call.this.expressions[0].name, call.this.expressions[1].name)
        for call in model.query.find_all(MacroFunc)
        if isinstance(call.this, exp.Anonymous) and call.this.name.lower() in macros
    }


def _short(table_name: str) -> str:
    table = exp.to_table(table_name, dialect="duckdb")
    return f"{table.db}.{table.name}"
