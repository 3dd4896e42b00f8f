"""SQLMesh's scheduler, driven by what has arrived, and entered in the ledger.

A run evaluates a model when its cron is due, as always, and also when something that it reads
has changed since it was last evaluated: files have landed, or a model upstream was evaluated.
Then the current interval is evaluated too, up to now. What was interrupted is repeated.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlmesh.core.environment import EnvironmentNamingInfo
from sqlmesh.core.model.definition import AuditResult
from sqlmesh.core.scheduler import Scheduler, SchedulingUnit, SnapshotToIntervals
from sqlmesh.core.snapshot import (
    DeployabilityIndex,
    Intervals,
    Snapshot,
    SnapshotId,
    snapshots_to_dag,
)
from sqlmesh.core.snapshot.definition import Interval
from sqlmesh.utils import CompletionStatus
from sqlmesh.utils.concurrency import NodeExecutionFailedError
from sqlmesh.utils.date import TimeLike, now_timestamp, to_datetime, to_timestamp

from lavra.modeling import macros
from lavra.modeling.environment import (
    changes_read,
    deployability,
    inputs_now,
    landed_read,
    tables_read,
    written_table,
)
from lavra.releases import ledger
from lavra.releases.ledger import Beginning, Evaluation, Inputs
from lavra.releases.write_lock import WriteSession

# <YYYY>_<MM>_<DD>_<epoch ms>_<part>.parquet: no row of a file was extracted before its epoch.
_FILE_EPOCH = re.compile(r"\d{4}_\d{2}_\d{2}_(\d+)_\d+[^/]*$")


class LakeScheduler(Scheduler):
    """The built-in scheduler with Lavra's idea of what is due, and the ledger.

    Set ``session`` (the held write lock) before it evaluates anything. With ``open_ended``, the
    last interval of each model reaches to now instead of the last midnight.
    """

    session: WriteSession
    open_ended: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._due: set[str] | None = None
        self._index = DeployabilityIndex.all_deployable()
        self._batches: Counter[str] = Counter()
        self._inputs: dict[str, Inputs] = {}
        self._audits: dict[str, list[dict[str, Any]]] = {}
        self._before: dict[str, Evaluation] = {}
        self._landed: dict[tuple[str, str], list[str]] | None = None
        self._changes: dict[tuple[str, str], list[int]] = {}
        self._first_landed: dict[tuple[str, int], int | None] = {}
        self._through = 0

    def run(
        self,
        environment: str | EnvironmentNamingInfo,
        start: TimeLike | None = None,
        end: TimeLike | None = None,
        execution_time: TimeLike | None = None,
        restatements: dict[SnapshotId, Interval] | None = None,
        *,
        ignore_cron: bool = False,
        deployability_index: DeployabilityIndex | None = None,
        **kwargs: Any,
    ) -> CompletionStatus:
        """Evaluate what is due; with ``ignore_cron``, everything that has anything missing."""
        name = environment if isinstance(environment, str) else environment.name
        index = deployability_index or deployability(name, list(self.snapshots.values()))
        self._look_at_what_landed()
        execution_time = execution_time or now_timestamp()
        redo = dict(restatements or {})
        self._due = None
        if not ignore_cron:
            self._due = self._find_due(index, to_timestamp(execution_time), redo)
        try:
            return super().run(
                environment,
                start=start,
                end=end,
                execution_time=execution_time,
                restatements=redo,
                ignore_cron=True,
                deployability_index=index,
                **kwargs,
            )
        finally:
            self._due = None

    def merged_missing_intervals(self, *args: Any, **kwargs: Any) -> SnapshotToIntervals:
        """Return what is missing, left out what neither cron nor a changed input makes due."""
        missing = super().merged_missing_intervals(*args, **kwargs)
        if self._due is None:
            return missing
        by_cron = super().merged_missing_intervals(*args, **(kwargs | {"ignore_cron": False}))
        due = self._due | {snapshot.name for snapshot in by_cron}
        for snapshot_id in snapshots_to_dag(self.snapshots.values()):
            snapshot = self.snapshots.get(snapshot_id)
            if snapshot and any(parent.name in due for parent in snapshot.parents):
                due.add(snapshot.name)
        return {s: intervals for s, intervals in missing.items() if s.name in due}

    def batch_intervals(self, *args: Any, **kwargs: Any) -> dict[Snapshot, Intervals]:
        """Return the batches, and remember how many each model has."""
        batches = super().batch_intervals(*args, **kwargs)
        self._batches = Counter({snapshot.name: len(b) for snapshot, b in batches.items()})
        return batches

    def run_merged_intervals(
        self,
        *,
        merged_intervals: SnapshotToIntervals,
        deployability_index: DeployabilityIndex,
        execution_time: TimeLike | None = None,
        audit_only: bool = False,
        **kwargs: Any,
    ) -> tuple[list[NodeExecutionFailedError[SchedulingUnit]], list[SchedulingUnit]]:
        """Evaluate these intervals, each model's entered in the ledger before it begins."""
        if self._landed is None:
            self._look_at_what_landed()
        execution_time = execution_time or now_timestamp()
        if self.open_ended and not audit_only:
            merged_intervals = _reaching(merged_intervals, self._through)
        arguments: dict[str, Any] = {
            "merged_intervals": merged_intervals,
            "deployability_index": deployability_index,
            "execution_time": execution_time,
            "audit_only": audit_only,
            **kwargs,
        }
        if audit_only:
            return super().run_merged_intervals(**arguments)
        self._index = deployability_index
        self._before = ledger.read_ledger(self.session.connection)
        self._inputs, self._audits = {}, {}
        tables = {s.name: written_table(s, deployability_index) for s in merged_intervals}
        ledger.begin(
            self.session.connection,
            [
                Beginning(tables[s.name], s.name, _time(i[0][0]), _time(i[-1][1]))
                for s, i in merged_intervals.items()
            ],
        )
        errors, skipped = super().run_merged_intervals(**arguments)
        self._explain(tables, errors, skipped)
        return errors, skipped

    def evaluate(
        self,
        snapshot: Snapshot,
        start: TimeLike,
        end: TimeLike,
        execution_time: TimeLike,
        deployability_index: DeployabilityIndex,
        *args: Any,
        **kwargs: Any,
    ) -> list[AuditResult]:
        """Evaluate one batch; after the last one, enter the model's evaluation as finished."""
        if snapshot.name not in self._inputs:  # the first batch: what lands later is not read
            self._inputs[snapshot.name] = self._inputs_now(
                snapshot, deployability_index, ledger.read_ledger(self.session.connection)
            )
        else:
            self.session.connection.execute("select 1")  # fails if the lock is lost
        results = super().evaluate(
            snapshot, start, end, execution_time, deployability_index, *args, **kwargs
        )
        audits = self._audits.setdefault(snapshot.name, [])
        audits.extend(_audit(result) for result in results if not result.skipped)
        self._batches[snapshot.name] -= 1
        if self._batches[snapshot.name] == 0:
            table = written_table(snapshot, deployability_index)
            inputs = self._inputs_consumed(snapshot, table, to_timestamp(end))
            ledger.finish(self.session.connection, table, inputs, _merged(audits))
        return results

    def _find_due(
        self, index: DeployabilityIndex, now: int, redo: dict[SnapshotId, Interval]
    ) -> set[str]:
        """Return the models that are due by their inputs; add what must be repeated to ``redo``."""
        evaluations = ledger.read_ledger(self.session.connection)
        due: set[str] = set()
        redo_from: dict[str, int] = {}
        for snapshot_id in snapshots_to_dag(self.snapshots.values()):
            snapshot = self.snapshots.get(snapshot_id)
            if snapshot is None or not snapshot.is_model or not snapshot.evaluatable:
                continue
            evaluation = evaluations.get(written_table(snapshot, index))
            starts = [redo_from[p.name] for p in snapshot.parents if p.name in redo_from]
            if evaluation is None or evaluation.number is None or evaluation.is_pending:
                due.add(snapshot.name)
                if evaluation and evaluation.pending_start:
                    starts.append(int(evaluation.pending_start.timestamp() * 1000))
            else:
                inputs = self._inputs_now(snapshot, index, evaluations)
                if inputs != evaluation.inputs:
                    due.add(snapshot.name)
                    starts.extend(_late_arrivals(inputs, evaluation.inputs))
                    closed = to_timestamp(snapshot.node.interval_unit.cron_floor(now))
                    starts.extend(
                        start
                        for start in self._late_changes(inputs, evaluation.inputs)
                        if start < closed
                    )
            if starts:
                redo_from[snapshot.name] = min(starts)
                floor = to_timestamp(snapshot.node.interval_unit.cron_floor(min(starts)))
                redo.setdefault(snapshot_id, (floor, now))
        return due

    def _late_changes(self, inputs: Inputs, known: Inputs) -> list[int]:
        """Return since when streams hold rows that the model has not seen, in epoch milliseconds.

        Those of the interval that goes on are read anyway. A batch that was read from its source
        before midnight may land after the run that closed the day, and one that waited for a lake
        that was away days later.
        """
        starts = []
        for (stream, table), rows in self._changes.items():
            name = f"changes:{stream}.{table}"
            if not rows or name not in inputs or inputs[name] == known.get(name):
                continue
            seen = known.get(name) or [rows[0], 0]
            since = int(seen[1]) if seen[0] == rows[0] else 0
            if (name, since) not in self._first_landed:
                self._first_landed[name, since] = macros.first_landed(stream, table, since)
            first = self._first_landed[name, since]
            if first is not None:
                starts.append(first)
        return starts

    def _inputs_now(
        self, snapshot: Snapshot, index: DeployabilityIndex, evaluations: dict[str, Evaluation]
    ) -> Inputs:
        return inputs_now(
            tables_read(snapshot, self.snapshots, index),
            evaluations,
            {s: (self._landed or {})[s] for s in landed_read(snapshot, self.snapshots)},
            {s: self._changes[s] for s in changes_read(snapshot, self.snapshots)},
        )

    def _look_at_what_landed(self) -> None:
        """Note the files that count now, and the time: their rows were all extracted before it.

        In that order, so that an evaluation which reaches to that time misses no row of a file
        that the ledger then calls read. A file that lands later is news for the next run.
        """
        snapshots = self.snapshots.values()
        landed = {s for snapshot in snapshots for s in landed_read(snapshot, self.snapshots)}
        self._landed = {s: list(macros.landed(*s).names) for s in sorted(landed)}
        streamed = {s for snapshot in snapshots for s in changes_read(snapshot, self.snapshots)}
        self._changes = {s: macros.rows_landed(*s) for s in sorted(streamed)}
        self._first_landed.clear()
        macros.hold_streams({stream for stream, _ in streamed})
        self._through = now_timestamp()

    def _inputs_consumed(self, snapshot: Snapshot, table: str, end: int) -> Inputs:
        """Return what the model now holds of its inputs.

        That is all of them, unless it was evaluated for intervals that end before now (a
        restatement of the past, say): then only what changed in this very run, if it was up to
        date before.
        """
        inputs = self._inputs[snapshot.name]
        through = self._through
        if not snapshot.allow_partials:
            through = to_timestamp(snapshot.node.interval_unit.cron_floor(through))
        is_whole = snapshot.is_full or snapshot.is_view or snapshot.is_seed
        before = self._before.get(table)
        if is_whole or end >= through or before is None:
            return inputs
        consumed = dict(before.inputs)
        for name, (physical_table, number) in _models(inputs).items():
            known = self._before.get(physical_table)
            if before.inputs.get(name) == [physical_table, known.number if known else None]:
                consumed[name] = [physical_table, number]
        return consumed

    def _explain(
        self,
        tables: dict[str, str],
        errors: Iterable[NodeExecutionFailedError[SchedulingUnit]],
        skipped: Iterable[SchedulingUnit],
    ) -> None:
        connection = self.session.connection
        for unit in skipped:
            if unit.snapshot_name in tables:
                ledger.fail(connection, tables[unit.snapshot_name], "a model that it reads failed")
        for error in errors:
            name = error.node.snapshot_name
            if name in tables:
                reason = str(error.__cause__ or error).strip()
                ledger.fail(connection, tables[name], reason.split("\n", 1)[0][:500])
        untouched = [
            table
            for name, table in tables.items()
            if name not in self._batches or (self._batches[name] == 0 and name not in self._inputs)
        ]
        was_pending = {t for t, e in self._before.items() if e.is_pending}
        ledger.withdraw(connection, [t for t in untouched if t not in was_pending])


def _reaching(merged: SnapshotToIntervals, now: int) -> SnapshotToIntervals:
    return {
        snapshot: (
            [*intervals[:-1], (intervals[-1][0], max(intervals[-1][1], now))]
            if intervals and snapshot.allow_partials and not snapshot.node.end
            else intervals
        )
        for snapshot, intervals in merged.items()
    }


def _models(inputs: Inputs) -> dict[str, list[Any]]:
    return {name: value for name, value in inputs.items() if name.startswith("model:")}


def _late_arrivals(inputs: Inputs, known: Inputs) -> list[int]:
    """Return since when files hold rows that the model has not seen, in epoch milliseconds.

    A sync that began before midnight may publish after the run that closed the day: its rows
    belong to an interval that is done, and would be passed over for ever.
    """
    starts = []
    for name, value in inputs.items():
        if name.startswith("landed:"):
            for file in set(value) - set(known.get(name, [])):
                found = _FILE_EPOCH.search(file)
                if found:
                    starts.append(int(found.group(1)))
    return starts


def _audit(result: AuditResult) -> dict[str, Any]:
    return {
        "name": result.audit.name,
        "arguments": {
            key: value.sql(dialect="duckdb") if hasattr(value, "sql") else str(value)
            for key, value in result.audit_args.items()
        },
        "blocking": result.blocking,
        "passed": not result.count,
        "passed_at": None if result.count else dt.datetime.now(dt.UTC).isoformat(),
    }


def _merged(audits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each audit once; over batches it has passed if it passed in every one."""
    merged: dict[str, dict[str, Any]] = {}
    for audit in audits:
        key = f"{audit['name']}({sorted(audit['arguments'].items())})"
        if key not in merged or merged[key]["passed"]:
            merged[key] = audit
    return list(merged.values())


def _time(timestamp: int) -> dt.datetime:
    return to_datetime(timestamp)
