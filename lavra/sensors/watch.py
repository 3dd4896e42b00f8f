"""One look at everything that may have arrived, and what follows from it.

``lavra ingest watch`` looks again and again; a worker may call :meth:`Watch.look` in a loop of
its own. What was landed and not modelled yet when a process died is modelled by the next one:
SQLMesh's own run finds what is due by its inputs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lavra.airbyte.jobs import newest
from lavra.airbyte.run import (
    RunProgress,
    applied_id,
    enter,
    evidence,
    failed,
    land_connection,
)
from lavra.airbyte.server import open_server
from lavra.airbyte.state import AirbyteState
from lavra.errors import (
    ConfigurationError,
    ContractError,
    IngestError,
    LavraError,
    ProcessError,
    StorageError,
)
from lavra.landing.connections import load_connections
from lavra.landing.housekeeping import tidy
from lavra.sensors.attempts import claim, finish
from lavra.sensors.due import Due, changed_files, due
from lavra.sensors.files import FileSensor

if TYPE_CHECKING:
    from lavra.airbyte.server import AirbyteServer
    from lavra.catalog import Catalog
    from lavra.landing.connections import Connection
    from lavra.landing.run import StreamResult
    from lavra.settings import Settings
    from lavra.storage import LakeStorage


RETRY_MODELS = dt.timedelta(minutes=1)
"""After this long models that failed are run again; doubled each time, up to the next."""
RETRY_MODELS_AT_MOST = dt.timedelta(hours=1)


class WatchProgress(RunProgress, Protocol):
    """Hears of a watch."""

    def due(self, connection: str, reason: str) -> None:
        """A connection is landed now, for this reason."""

    def models(self, connections: Sequence[str]) -> None:
        """The models run, since these connections landed something; none: at the start."""

    def trouble(self, error: LavraError) -> None:
        """Something cannot be looked at, or the models failed; the watch goes on."""


@dataclass
class Watch:
    """Looks for what arrived, lands what is due, and runs the models that depend on it.

    Args:
        settings: Of the lake.
        catalog: Holds the manifest and what was begun.
        storage: The lake's files.
        progress: Hears how it goes.
        run_models: Runs the models that are due; None leaves them to somebody else.
        names: Connections to watch; all, when empty.

    Attributes:
        running: Connections whose job of Airbyte ran when it was last looked at.
    """

    settings: Settings
    catalog: Catalog
    storage: LakeStorage
    progress: WatchProgress
    run_models: Callable[[], None] | None
    names: tuple[str, ...] = ()
    running: set[str] = field(default_factory=set)
    _landed: list[str] = field(default_factory=list)
    _is_first: bool = True
    _retry_at: dt.datetime | None = None
    _retry_after: dt.timedelta = RETRY_MODELS
    _jobs: dict[str, int] = field(default_factory=dict)
    _troubles: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._files = FileSensor(self.settings)

    def look(self, now: dt.datetime | None = None) -> list[StreamResult]:
        """Take one look, and return what landed or failed.

        Raises:
            ConfigurationError: a declaration is wrong.
            CatalogUnavailable: the catalog went away; call it again later.
        """
        now = now or dt.datetime.now(dt.UTC)
        connections = load_connections(self.settings.project, self.names)
        results: list[StreamResult] = []
        ready = due(self.catalog, connections, now)
        ready += changed_files(
            self.catalog, connections, now, sensor=self._files, on_trouble=self._trouble
        )
        for one in ready:
            results += self._land(one)
        results += self._look_at_airbyte([c for c in connections if c.destination.dialect])
        self._follow(results, connections, now)
        return results

    def arrived(self, names: Sequence[str], now: dt.datetime | None = None) -> list[StreamResult]:
        """Land or enter connections of which something arrived, due or not; run the models.

        What was there already lands nothing new.

        Raises:
            ConfigurationError: a declaration is wrong.
            CatalogUnavailable: the catalog went away; call it again later.
        """
        connections = load_connections(self.settings.project, names)
        results: list[StreamResult] = []
        for connection in connections:
            if connection.destination.dialect is None:
                self.progress.due(connection.name, "its bucket has new objects")
                results += land_connection(
                    self.settings, self.catalog, self.storage, connection, self.progress
                )
        results += self._look_at_airbyte([c for c in connections if c.destination.dialect])
        self._follow(results, connections, now or dt.datetime.now(dt.UTC))
        return results

    @property
    def owes_models(self) -> bool:
        """Whether something landed and the models have not run since."""
        return self.run_models is not None and (bool(self._landed) or self._retry_at is not None)

    def _follow(
        self, results: list[StreamResult], connections: Sequence[Connection], now: dt.datetime
    ) -> None:
        """Do what follows from a landing: housekeeping and the models."""
        arrived = [r.connection for r in results if r.file_count or r.schema_changes]
        self._landed += arrived
        self._tidy([c for c in connections if c.name in {r.connection for r in results}])
        waits = self._retry_at is not None and now < self._retry_at and not arrived
        if self.run_models is not None and (self._landed or self._is_first) and not waits:
            self._model(self.run_models, now)

    def _land(self, one: Due) -> list[StreamResult]:
        name = one.connection.name
        if not claim(self.catalog, name, tick=one.tick, fingerprint=one.fingerprint):
            return []  # another process was quicker
        self.progress.due(name, one.reason)
        results = land_connection(
            self.settings, self.catalog, self.storage, one.connection, self.progress
        )
        finish(self.catalog, name)
        return results

    def _look_at_airbyte(self, connections: Sequence[Connection]) -> list[StreamResult]:
        """Enter what Airbyte landed: of jobs that ended, or, without its API, whatever is new."""
        if not connections:
            return []
        server = None
        try:
            if self.settings.airbyte_url:
                server = open_server(self.settings)
        except ConfigurationError as error:
            self._trouble(error)
            return []
        results = []
        for connection in connections:
            try:
                entered = self._enter(server, connection)
            except (IngestError, ConfigurationError) as error:
                self._trouble(error)
                continue
            for result in entered:
                if result.error:
                    self._trouble(IngestError(
                        f"{connection.name}.{result.stream}: {result.error}", remedy=result.remedy
                    ))  # fmt: skip
                elif result.file_count:
                    self.progress.done(result)
            results += entered
        return results

    def _enter(self, server: AirbyteServer | None, connection: Connection) -> list[StreamResult]:
        if server is None:
            overwritten = [s for s in connection.streams if s.sync_mode.endswith("overwrite")]
            appended = [s for s in connection.streams if s not in overwritten]
            error = ConfigurationError(
                "Only Airbyte's API can say when an overwritten stream is complete.",
                remedy="Set LAVRA_AIRBYTE_URL and its fellows.",
            )
            return [failed(connection, stream, error) for stream in overwritten] + enter(
                self.catalog, self.storage, connection, appended, seen=None, progress=self.progress
            )
        state = AirbyteState(self.catalog, server.workspace_id)
        connection_id = applied_id(state, connection)
        job = newest(server, connection_id)
        self.running -= {connection.name}
        if job is not None and not job.is_over:
            self.running |= {connection.name}
        if job is None or not job.is_over or self._jobs.get(connection.name) == job.id:
            return []
        results = enter(
            self.catalog, self.storage, connection, connection.streams,
            seen=evidence(server, connection_id, job), progress=self.progress,
        )  # fmt: skip
        if not any(result.error for result in results):
            self._jobs[connection.name] = job.id
        return results

    def _tidy(self, connections: Sequence[Connection]) -> None:
        for connection in connections:
            try:
                tidy(
                    self.settings, self.catalog, self.storage, connection,
                    compact_from=self.settings.bronze_compact_files,
                )  # fmt: skip
            except (StorageError, ContractError) as error:
                self._trouble(error)

    def _model(self, run_models: Callable[[], None], now: dt.datetime) -> None:
        """Run the models; if they fail, try again later, or when something else arrives."""
        self.progress.models(list(dict.fromkeys(self._landed)))
        try:
            run_models()
        except ProcessError as error:
            self._trouble(error)
            self._retry_at = now + self._retry_after
            self._retry_after = min(self._retry_after * 2, RETRY_MODELS_AT_MOST)
            return
        self._retry_at, self._retry_after = None, RETRY_MODELS
        self._is_first = False
        self._landed.clear()
        self._troubles.clear()

    def _trouble(self, error: LavraError) -> None:
        """Tell of a trouble once, until it changes."""
        if str(error) not in self._troubles:
            self._troubles.add(str(error))
            self.progress.trouble(error)
