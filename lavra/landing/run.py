"""Lands connections: reads each stream, writes Bronze, then makes it visible.

Each stream stands alone: one that fails leaves its last complete state in place and the others
land. Runs of one connection at the same time wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lavra.errors import ConfigurationError, IngestError, LavraError
from lavra.landing.bronze_writer import BronzeWriter
from lavra.landing.connection_lock import connection_lock
from lavra.landing.connections import FILES, Connection, FilesConfig, PostgresConfig, Stream
from lavra.landing.manifest import (
    Column,
    StreamState,
    Sync,
    SyncOutcome,
    begin_sync,
    clean_up,
    commit_sync,
    fail_sync,
    stream_state,
)
from lavra.landing.reading import SourceReader, StreamRead
from lavra.landing.references import resolve, unset
from lavra.landing.schema_changes import allowed_changes, ignored_columns

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from lavra.storage import LakeStorage


@dataclass(frozen=True)
class StreamResult:
    """What became of one stream in a run; ``error`` is None when it landed."""

    connection: str
    namespace: str
    stream: str
    sync_mode: str
    row_count: int = 0
    bytes: int = 0
    file_count: int = 0
    misfit_count: int = 0
    skipped_count: int = 0
    seconds: float = 0.0
    schema_changes: tuple[dict[str, Any], ...] = ()
    error: str | None = None
    remedy: str | None = None


class Progress(Protocol):
    """Hears how a run goes on; all of its methods may do nothing."""

    def waiting(self, connection: str) -> None:
        """Another run of this connection is under way."""

    def rows(self, connection: str, stream: str, row_count: int) -> None:
        """So many rows of a stream are written so far."""

    def done(self, result: StreamResult) -> None:
        """A stream landed, or failed."""


class Quiet:
    """Says nothing."""

    def waiting(self, connection: str) -> None:
        """Do nothing."""

    def rows(self, connection: str, stream: str, row_count: int) -> None:
        """Do nothing."""

    def done(self, result: StreamResult) -> None:
        """Do nothing."""


def run_connection(
    settings: Settings,
    catalog: Catalog,
    storage: LakeStorage,
    connection: Connection,
    *,
    streams: Sequence[str] = (),
    full_refresh: bool = False,
    progress: Progress | None = None,
) -> list[StreamResult]:
    """Land a connection's streams, or those named, and return what became of each.

    Args:
        settings: Of the lake.
        catalog: Holds the manifest.
        storage: The lake's files.
        connection: From :func:`lavra.landing.connections.load_connection`.
        streams: Names; all, when empty.
        full_refresh: Read incremental streams from the start, into a new generation that
            replaces the old one once it is complete.
        progress: Hears how it goes.

    Raises:
        ConfigurationError: a named stream does not exist.
        CatalogUnavailable: the catalog went away; what has landed stays.
    """
    told = progress or Quiet()
    chosen = [connection.stream(name) for name in streams] or list(connection.streams)
    results: list[StreamResult] = []
    with connection_lock(catalog, connection.name, on_wait=lambda: told.waiting(connection.name)):
        try:
            if connection.source.is_embedded:
                from lavra.landing.connectors.run import land_connector  # noqa: PLC0415

                place = (settings, catalog, storage, connection)
                return land_connector(*place, chosen, full_refresh=full_refresh, progress=told)
            with open_source(settings, connection) as reader:
                for stream in chosen:
                    run = _StreamRun(catalog, storage, connection, stream, told)
                    results.append(run.land(reader, full_refresh=full_refresh))
                    told.done(results[-1])
        except IngestError as error:
            # The source is away: the streams that have no result yet share its message.
            for stream in chosen[len(results) :]:
                results.append(_failed(connection, stream, error, 0.0))
                told.done(results[-1])
    return results


@contextmanager
def open_source(settings: Settings, connection: Connection) -> Iterator[SourceReader]:
    """Connect to a connection's source.

    Raises:
        ConfigurationError: its configuration is wrong, or refers to variables that are not set.
        SourceError: the source cannot be reached.
    """
    config = connection.source.config
    missing = unset(config)
    if missing and connection.source.workload is None:
        raise ConfigurationError(
            f"Connection {connection.name} refers to {', '.join(missing)}, not set here.",
            remedy="Set it in the environment, or give it a default: ${NAME:-default}.",
        )
    if connection.source.connector in FILES:
        yield _file_reader(settings, connection, stand_in=bool(missing) or not config)
        return
    if not connection.source.is_native:
        raise ConfigurationError(
            f"Connection {connection.name}: {connection.source.connector} runs on Airbyte, "
            "not in this process.",
            remedy="`lavra ingest apply` sets it up there; its schedule runs it.",
        )
    from lavra.landing.postgres_source import open_postgres  # noqa: PLC0415

    if missing or not config:
        from lavra.workloads.commerce.source import ensure_source  # noqa: PLC0415

        with open_postgres(ensure_source(settings).url) as reader:
            yield reader
        return
    parsed = parse_config(PostgresConfig, f"Connection {connection.name}", config)
    with open_postgres(postgres_conninfo(parsed), parsed.schemas) as reader:
        yield reader


class _StreamRun:
    """The landing of one stream."""

    def __init__(
        self,
        catalog: Catalog,
        storage: LakeStorage,
        connection: Connection,
        stream: Stream,
        progress: Progress,
    ) -> None:
        self._catalog, self._storage = catalog, storage
        self._connection, self._stream = connection, stream
        self._progress = progress
        self._namespace = connection.bronze_namespace

    def land(self, reader: SourceReader, *, full_refresh: bool) -> StreamResult:
        stream, started = self._stream, time.monotonic()
        try:
            clean_up(self._catalog, self._storage, self._namespace, stream.name)
            before = stream_state(self._catalog, self._namespace, stream.name)
            replaces = full_refresh or stream.sync_mode == "full_refresh_overwrite"
            state = None if full_refresh else before.state
            sync = begin_sync(
                self._catalog, connection_name=self._connection.name, namespace=self._namespace,
                stream=stream.name, sync_mode=stream.sync_mode, new_generation=replaces,
            )  # fmt: skip
        except (IngestError, ConfigurationError) as error:
            return _failed(self._connection, stream, error, time.monotonic() - started)
        try:
            with reader.read(stream, state) as read:
                outcome = self._write(read, sync, before, replaces=replaces)
            commit_sync(self._catalog, sync, outcome)
        except (IngestError, ConfigurationError) as error:
            fail_sync(self._catalog, sync, str(error))
            return _failed(self._connection, stream, error, time.monotonic() - started)
        return StreamResult(
            self._connection.name, self._namespace, stream.name, stream.sync_mode,
            row_count=sum(file.row_count for file in outcome.files),
            bytes=sum(file.size for file in outcome.files), file_count=len(outcome.files),
            misfit_count=outcome.misfit_count, skipped_count=outcome.skipped_count,
            seconds=time.monotonic() - started, schema_changes=tuple(outcome.schema_changes),
        )  # fmt: skip

    def _write(
        self, read: StreamRead, sync: Sync, before: StreamState, *, replaces: bool
    ) -> SyncOutcome:
        if read.is_unchanged:
            return SyncOutcome([], before.columns, replaces=False, state=read.next_state)
        changes = allowed_changes(self._connection, self._stream, read.columns, before)
        ignored = ignored_columns(self._connection, read.columns, before)
        landed = [name for name in read.columns if name not in ignored]
        schema = read.schema()
        with BronzeWriter(
            self._storage, sync.prefix, schema_of(schema, landed), sync_id=sync.id,
            generation_id=sync.generation_id, extracted_at=sync.started_at,
        ) as writer:  # fmt: skip
            for table, row_changes in read.batches:
                if table.num_rows:
                    writer.write(table.select(landed), row_changes)
                    self._progress.rows(self._connection.name, self._stream.name, writer.row_count)
            if replaces or before.landed_at is None:
                writer.ensure_file()  # an empty table has columns too
        return SyncOutcome(
            files=writer.files,
            columns=[Column(name, str(read.columns[name])) for name in landed],
            replaces=replaces, state=read.next_state, misfit_count=writer.misfit_count,
            skipped_count=read.skipped_count, schema_changes=changes,
        )  # fmt: skip


def schema_of(schema: Any, names: Sequence[str]) -> Any:
    """Return an Arrow schema with only the named fields, in their order."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.schema([schema.field(name) for name in names])


def _file_reader(settings: Settings, connection: Connection, *, stand_in: bool) -> SourceReader:
    from lavra.landing.csv_reader import CsvReader  # noqa: PLC0415
    from lavra.landing.jsonl_reader import JsonlReader  # noqa: PLC0415
    from lavra.landing.parquet_reader import ParquetReader  # noqa: PLC0415
    from lavra.landing.source_files import open_folder  # noqa: PLC0415

    source = connection.source
    readers: dict[str, Callable[[Any], SourceReader]] = {
        "csv": CsvReader, "jsonl": JsonlReader, "parquet": ParquetReader,
    }  # fmt: skip
    reader = readers[source.connector]
    if stand_in:
        from lavra.workloads.commerce.source import ensure_source  # noqa: PLC0415

        return reader(ensure_source(settings).catalogue)
    config = parse_config(FilesConfig, f"Connection {connection.name}", source.config)
    return reader(open_folder(settings, config.root))


def parse_config(model: Any, owner: str, config: dict[str, Any]) -> Any:
    """Return a source's configuration as a model, its references resolved.

    Raises:
        ConfigurationError: it breaks the model; ``owner`` says whose it is.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        return model.model_validate(resolve(config))
    except ValidationError as error:
        problems = "; ".join(
            f"source.config.{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(
            f"{owner} is wrong: {problems}.",
            remedy=f"The keys are {', '.join(model.model_fields)}.",
        ) from error


def postgres_conninfo(config: PostgresConfig) -> str:
    """Return a Postgres source's connection string (it holds the password, if any)."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    return make_conninfo(
        "", host=config.host, port=config.port, dbname=config.database, user=config.username,
        password=config.password or None, sslmode=config.ssl_mode, application_name="lavra",
    )  # fmt: skip


def _failed(
    connection: Connection, stream: Stream, error: LavraError, seconds: float
) -> StreamResult:
    return StreamResult(
        connection.name, connection.bronze_namespace, stream.name, stream.sync_mode,
        seconds=seconds, error=error.message, remedy=error.remedy,
    )  # fmt: skip
