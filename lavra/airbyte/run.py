"""Runs a connection on a real Airbyte, and enters what it landed in the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from lavra.airbyte.jobs import Job, JobProgress, newest, run_job
from lavra.airbyte.server import open_server
from lavra.airbyte.state import AirbyteState
from lavra.errors import ConfigurationError, IngestError, LavraError, StorageError
from lavra.landing.connection_lock import connection_lock
from lavra.landing.registration import Evidence, register
from lavra.landing.run import Progress, StreamResult, run_connection

if TYPE_CHECKING:
    from lavra.airbyte.server import AirbyteServer
    from lavra.catalog import Catalog
    from lavra.landing.connections import Connection, Stream
    from lavra.settings import Settings
    from lavra.storage import LakeStorage


class RunProgress(Progress, JobProgress, Protocol):
    """Hears of a job and of what was entered."""


def land_connection(
    settings: Settings,
    catalog: Catalog,
    storage: LakeStorage,
    connection: Connection,
    progress: RunProgress,
    *,
    streams: Sequence[str] = (),
    full_refresh: bool = False,
    here: bool = False,
) -> list[StreamResult]:
    """Land a connection where it is declared to be landed: on Airbyte, or on this machine.

    What keeps a connection from landing on Airbyte is the result of each of its streams.

    Args:
        settings: Of the lake.
        catalog: Holds the manifest.
        storage: The lake's files.
        connection: What to land.
        progress: Hears how it goes.
        streams: Only these.
        full_refresh: Read incremental streams from the start.
        here: On this machine, even if Airbyte is to land it.

    Raises:
        ConfigurationError: a named stream does not exist.
        CatalogUnavailable: the catalog went away; what has landed stays.
    """
    if here or connection.destination.dialect is None:
        return run_connection(
            settings, catalog, storage, connection,
            streams=streams, full_refresh=full_refresh, progress=progress,
        )  # fmt: skip
    chosen = [connection.stream(name) for name in streams] or list(connection.streams)
    try:
        server = open_server(settings)
        return run_on_airbyte(
            server, AirbyteState(catalog, server.workspace_id), catalog, storage, connection,
            progress=progress, streams=streams, full_refresh=full_refresh,
            poll_s=settings.airbyte_poll_seconds,
        )  # fmt: skip
    except (IngestError, ConfigurationError) as error:
        results = [failed(connection, stream, error) for stream in chosen]
        for result in results:
            progress.done(result)
        return results


def run_on_airbyte(
    server: AirbyteServer,
    state: AirbyteState,
    catalog: Catalog,
    storage: LakeStorage,
    connection: Connection,
    *,
    progress: RunProgress,
    streams: Sequence[str] = (),
    full_refresh: bool = False,
    poll_s: float = 5.0,
) -> list[StreamResult]:
    """Run a connection's job to its end, enter its files, and return what became of each stream.

    Args:
        server: Where it runs.
        state: Knows the connection's id there.
        catalog: Holds the manifest.
        storage: The lake's files, where Airbyte lands.
        connection: With a dialect.
        progress: Hears how it goes.
        streams: Enter only these; a job syncs all streams of its connection all the same.
        full_refresh: Have Airbyte read incremental streams from the start.
        poll_s: Seconds between two looks at the job.

    Raises:
        AirbyteError: the server cannot be reached, or starts no job.
        ConfigurationError: a named stream does not exist, or the connection is not applied.
    """
    chosen = [connection.stream(name) for name in streams] or list(connection.streams)
    connection_id = applied_id(state, connection)
    job = run_job(
        server, connection_id, "refresh" if full_refresh else "sync",
        lambda job, joined: progress.job(connection.name, job, joined=joined), poll_s=poll_s,
    )  # fmt: skip
    results = enter(
        catalog, storage, connection, chosen,
        seen=evidence(server, connection_id, job), progress=progress,
    )  # fmt: skip
    if not job.succeeded:
        said, remedy = job.problem()
        results = [r if r.error else replace(r, error=said, remedy=remedy) for r in results]
    for result in results:
        progress.done(result)
    return results


def enter(
    catalog: Catalog,
    storage: LakeStorage,
    connection: Connection,
    streams: Sequence[Stream],
    *,
    seen: Evidence | None,
    progress: Progress,
) -> list[StreamResult]:
    """Enter what Airbyte landed of some streams; one that cannot be is a result with an error."""
    results = []
    with connection_lock(
        catalog, connection.name, on_wait=lambda: progress.waiting(connection.name)
    ):
        for stream in streams:
            try:
                results.append(register(catalog, storage, connection, stream, seen))
            except (IngestError, ConfigurationError, StorageError) as error:
                results.append(failed(connection, stream, error))
    return results


def evidence(server: AirbyteServer, connection_id: str, job: Job) -> Evidence:
    """Return what a job that is over says of the files in the bucket."""

    def is_newest() -> bool:
        now = newest(server, connection_id)
        return now is not None and now.id == job.id

    return Evidence(job.id, job.succeeded, job.empties, is_newest)


def applied_id(state: AirbyteState, connection: Connection) -> str:
    """Return the server's id of a connection.

    Raises:
        ConfigurationError: it is not on the server.
    """
    kept = state.all().get(("connection", connection.name))
    if kept is None or kept.resource_id is None:
        raise ConfigurationError(
            f"Connection {connection.name} is not on the Airbyte server yet.",
            remedy=f"Run `lavra ingest apply {connection.name}` first; `lavra ingest run --here` "
            "reads it on this machine, if Lavra can.",
        )
    return kept.resource_id


def failed(connection: Connection, stream: Stream, error: LavraError) -> StreamResult:
    """Return the result of a stream that could not be landed."""
    return StreamResult(
        connection.name, connection.bronze_namespace, stream.name, stream.sync_mode,
        error=error.message, remedy=error.remedy,
    )  # fmt: skip
