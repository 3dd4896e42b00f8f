"""SQLMesh's Context for a lake: plans and runs one at a time, and releases after each.

The ``sqlmesh`` command line, its notebooks and its CI bot all build a plain Context from a
project's configuration. The configuration names :class:`LakeLoader`, which turns the Context
that it is given into a :class:`LakeContext`: an ordinary subclass that overrides public methods.
Project hooks (``before_all``, ``after_all``) would not do: they fire after planning, not at all
when there is nothing to do, and after failures too (docs/decisions/0201).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlmesh.core.context import Context
from sqlmesh.core.environment import Environment
from sqlmesh.core.loader import SqlMeshLoader
from sqlmesh.utils import CompletionStatus
from sqlmesh.utils.errors import SQLMeshError

from lavra.errors import LavraError, StalePlanError
from lavra.modeling.environment import (
    EnvironmentState,
    inputs_now,
    read_environment,
)
from lavra.modeling.lake import active_lake
from lavra.modeling.linter import house_rules
from lavra.modeling.scheduler import LakeScheduler
from lavra.releases import ledger
from lavra.releases.make import Outcome, make_release
from lavra.releases.write_lock import WriteSession, command_name, read_generation, write_lock

if TYPE_CHECKING:
    from sqlmesh.core.linter.definition import RuleSet
    from sqlmesh.core.plan import Plan, PlanBuilder
    from sqlmesh.core.snapshot import Snapshot, SnapshotEvaluator

    from lavra.releases.store import Cause

_T = TypeVar("_T")


class LakeContext(Context):
    """A Context whose plans and runs hold the lake's write lock, and release when they end."""

    _session: WriteSession | None = None
    _planned_at: int | None = None
    _applied: bool = False
    _open_ended: bool = False
    _builder: PlanBuilder | None = None

    def plan(self, environment: str | None = None, **kwargs: Any) -> Plan:
        """Plan as SQLMesh does; what is applied is applied under the write lock, and released.

        A plan that applies itself (``--auto-apply``) holds the lock from its start, so it never
        goes stale. One that waits for an answer does not hold it meanwhile: if the lake was
        written in the meantime, it is planned again and asks again.
        """
        asked = kwargs.get("auto_apply")
        applies_itself = self.config.plan.auto_apply if asked is None else asked
        if kwargs.get("explain"):
            return super().plan(environment, **kwargs)
        if applies_itself:
            with self._writing():
                return self._plan_once(environment, **kwargs)
        while True:
            try:
                return self._plan_once(environment, **kwargs)
            except StalePlanError:
                self.console.log_warning(
                    "The lake was written while this plan was open, so it is planned again."
                )

    def plan_builder(self, environment: str | None = None, **kwargs: Any) -> PlanBuilder:
        """Build a plan, and note which generation of the lake it is computed from."""
        self._planned_at = None
        if self._session is None:
            self._planned_at = _sqlmesh_error(lambda: read_generation(active_lake().catalog))
            self._forget_cached_state()
        self._builder = super().plan_builder(environment, **kwargs)
        return self._builder

    def apply(self, plan: Plan, circuit_breaker: Callable[[], bool] | None = None) -> None:
        """Apply a plan under the write lock, then release the environment if it may be.

        Raises:
            StalePlanError: the lake was written since the plan was computed.
        """
        if plan.explain:
            super().apply(plan, circuit_breaker)
            return
        with self._writing() as session:
            if self._planned_at not in {None, session.previous_generation}:
                raise StalePlanError(
                    "The lake was written since this plan was computed.", remedy="Plan again."
                )
            self._planned_at, self._applied = None, True
            # Asked of the builder: the plan itself calls SQLMesh's default a provided end.
            self._open_ended = self._builder is not None and not self._builder.override_end
            name = plan.environment_naming_info.name
            try:
                super().apply(plan, circuit_breaker)
            except Exception:
                self._release_after_failure(name, "plan")
                raise
            finally:
                self._open_ended = False
            self._rebase(session, name)
            self._release(name, "plan")

    def run(self, environment: str | None = None, **kwargs: Any) -> CompletionStatus:
        """Evaluate what is due under the write lock, then release the environment if it may be."""
        name = Environment.sanitize_name(environment or self.config.default_target_environment)
        with self._writing():
            try:
                status = super().run(environment, **kwargs)
            except Exception:
                self._release_after_failure(name, "run")
                raise
            if status.is_nothing_to_do:
                self.console.log_status_update(
                    "Nothing to run: nothing has landed or changed since the last run."
                )
            if status.is_failure:
                self._release_after_failure(name, "run")
            else:
                self._release(name, "run")
            return status

    def release(self, environment: str, cause: Cause = "make") -> Outcome:
        """Release an environment now if the rule allows it (``lavra release make``).

        Raises:
            SQLMeshError: there is no such environment.
        """
        with self._writing():
            if self.state_sync.get_environment(environment) is None:
                raise SQLMeshError(f"Environment '{environment}' was not found.")
            return self._release(environment, cause)

    def create_scheduler(
        self, snapshots: Iterable[Snapshot], snapshot_evaluator: SnapshotEvaluator
    ) -> LakeScheduler:
        """Return the scheduler that keeps the ledger; it evaluates only under the write lock."""
        scheduler = LakeScheduler(
            snapshots,
            snapshot_evaluator,
            self.state_sync,
            default_catalog=self.default_catalog,
            max_workers=self.concurrent_tasks,
            console=self.console,
            notification_target_manager=self.notification_target_manager,
        )
        if self._session is not None:
            scheduler.session = self._session
        scheduler.open_ended = self._open_ended
        return scheduler

    def run_janitor(self, *args: Any, **kwargs: Any) -> bool:
        """Clean up under the write lock."""
        with self._writing():
            return super().run_janitor(*args, **kwargs)

    def invalidate_environment(self, *args: Any, **kwargs: Any) -> None:
        """Invalidate an environment under the write lock; its releases stay."""
        with self._writing():
            super().invalidate_environment(*args, **kwargs)

    def destroy(self) -> bool:
        """Destroy SQLMesh's objects and state under the write lock; releases stay readable."""
        with self._writing():
            return super().destroy()

    def migrate(self) -> None:
        """Migrate SQLMesh's state under the write lock."""
        with self._writing():
            super().migrate()

    def rollback(self) -> None:
        """Undo a migration of SQLMesh's state under the write lock."""
        with self._writing():
            super().rollback()

    @contextmanager
    def _writing(self) -> Iterator[WriteSession]:
        """Hold the write lock for the block, or keep it when this context holds it already."""
        if self._session is not None:
            yield self._session
            return
        with (
            _as_sqlmesh_errors(),
            write_lock(
                active_lake().catalog, command_name(), say=self.console.log_status_update
            ) as session,
        ):
            self._session = session
            self._forget_cached_state()
            try:
                yield session
                ledger.purge(session.connection)
            finally:
                self._session = None

    def _plan_once(self, environment: str | None, **kwargs: Any) -> Plan:
        self._applied = False
        plan = super().plan(environment, **kwargs)
        if not self._applied and not plan.context_diff.has_changes and not plan.requires_backfill:
            # Nothing to apply, but an earlier plan may have died before it could release.
            with self._writing():
                self._release(plan.environment_naming_info.name, "plan")
        return plan

    def _forget_cached_state(self) -> None:
        if self._state_sync is not None:
            self._state_sync.clear_cache()

    def _rebase(self, session: WriteSession, environment: str) -> None:
        """Accept what a successful plan decided need not be rebuilt.

        A change that does not touch a model's result (SQLMesh calls it non-breaking) gives its
        input a new physical table and leaves the model alone: the model is up to date with the
        new table as it was with the old one.
        """
        state = self._environment_state(environment)
        if state is None:
            return
        evaluations = ledger.read_ledger(session.connection)
        rebased = {}
        for table in state.tables.values():
            evaluation = evaluations.get(table.physical_table)
            if evaluation is None or evaluation.number is None or evaluation.is_pending:
                continue
            inputs = dict(evaluation.inputs)
            for name, now in inputs_now(table.reads, evaluations, {}, {}).items():
                known = inputs.get(name)
                if known is not None and known[0] != now[0]:
                    inputs[name] = now
            if inputs != evaluation.inputs:
                rebased[table.physical_table] = inputs
        ledger.rebase(session.connection, rebased)

    def _environment_state(self, environment: str) -> EnvironmentState | None:
        self._forget_cached_state()
        return read_environment(self, environment)

    def _release(self, environment: str, cause: Cause) -> Outcome:
        assert self._session is not None  # noqa: S101 - callers hold the lock
        state = self._environment_state(environment)
        if state is None:
            return Outcome()
        lake = active_lake()
        outcome = make_release(
            self._session,
            lake.catalog,
            lake.storage,
            environment=environment,
            cause=cause,
            tables=state.tables,
            is_finalized=state.is_finalized,
            project=lake.settings.project,
        )
        if outcome.release is not None:
            self.console.log_success(
                f"Released: {environment} is at release {outcome.release.id} "
                f"(snapshot {outcome.release.snapshot_id}, {len(outcome.release.tables)} tables)."
            )
        elif outcome.blocked:
            reasons = "\n".join(f"- {b.model}: {b.reason}. {b.remedy}" for b in outcome.blocked)
            self.console.log_warning(
                f"{environment} is not released; its last release stays. Blocked by:\n{reasons}"
            )
        return outcome

    def _release_after_failure(self, environment: str, cause: Cause) -> None:
        """Say what blocks the release, without hiding the failure that led here."""
        try:
            self._release(environment, cause)
        except (LavraError, SQLMeshError) as error:
            self.console.log_warning(f"{environment} is not released: {error}")


class LakeLoader(SqlMeshLoader):
    """SQLMesh's loader, which makes its Context a :class:`LakeContext` and adds the house rules."""

    context_class: type[Context] = LakeContext

    def __init__(self, context: Context, path: Path) -> None:
        if not isinstance(context, self.context_class):
            if type(context) is not Context:
                raise SQLMeshError(
                    f"Lavra cannot work with {type(context).__name__}, only with SQLMesh's Context."
                )
            context.__class__ = self.context_class
        super().__init__(context, path)

    def _load_linting_rules(self) -> RuleSet:
        return super()._load_linting_rules().union(house_rules())


@contextmanager
def _as_sqlmesh_errors() -> Iterator[None]:
    """Raise Lavra's errors as SQLMesh's, which its command line prints without a traceback."""
    try:
        yield
    except StalePlanError:
        raise
    except LavraError as error:
        raise SQLMeshError(str(error)) from error


def _sqlmesh_error(call: Callable[[], _T]) -> _T:
    with _as_sqlmesh_errors():
        return call()
