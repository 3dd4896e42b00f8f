"""Enters in the manifest what a real Airbyte landed in the lake's bucket.

Airbyte's files lie where ours do, ``bronze/<namespace>/<stream>/``, and are found by listing.
What it appends is entered where it lies. What it overwrites is copied first, to
``bronze_kept/``, since Airbyte deletes the old files at the start of a sync (legacy) or at its
end (v2), and readers must have the last complete sync until the next is complete. Only Airbyte's
API knows when that is, so an overwritten stream needs :class:`Evidence`.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lavra.errors import ConfigurationError, ContractError, SourceError, StorageError
from lavra.landing import types
from lavra.landing.bronze_writer import GENERATION_ID, WrittenFile, stream_folder
from lavra.landing.dialects import Dialect, Shape, count_extras, landed_type
from lavra.landing.manifest import (
    Column,
    SyncOutcome,
    begin_sync,
    clean_up,
    fail_sync,
    finish_sync,
    insert_files,
    stream_state,
)
from lavra.landing.run import StreamResult
from lavra.landing.schema_changes import schema_changes

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog
    from lavra.landing.connections import Connection, Stream
    from lavra.landing.manifest import Sync
    from lavra.storage import LakeStorage
    from lavra.storage.lake_storage import StoredFile

KEPT = "bronze_kept"
"""Folder of the copies, ``bronze_kept/<namespace>/<stream>/<sync>/``, where Airbyte never looks."""

_FOOTERS_AT_ONCE = 8
_GRAMMAR = re.compile(r"\d{4}_\d{2}_\d{2}_\d+_\d+\.parquet")
_WIDER = {(types.INTEGER, types.NUMBER): types.NUMBER}


@dataclass(frozen=True)
class Evidence:
    """What Airbyte's API says of a connection's newest job that is over.

    Attributes:
        job_id: The job.
        succeeded: Whether it did; what a failed one appended counts all the same.
        empties: Whether it cleared the streams.
        is_newest: Asks again whether no other job has begun since.
    """

    job_id: int
    succeeded: bool
    empties: bool = False
    is_newest: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class Footer:
    """What a file's footer says."""

    file: StoredFile
    shape: Shape
    row_count: int
    generation_id: int | None
    extras: int


def register(
    catalog: Catalog,
    storage: LakeStorage,
    connection: Connection,
    stream: Stream,
    evidence: Evidence | None,
) -> StreamResult:
    """Enter the new files of a stream in the manifest; call it under the connection's lock.

    Files become visible, and those that they replace invisible, in one transaction. A crash
    before it leaves at most copies that nobody reads, which the next call removes.

    Raises:
        ConfigurationError: the stream is overwritten and there is no evidence.
        ContractError: a file is not of the connection's dialect.
        SourceError: another sync began meanwhile; the last complete state stays.
        StorageError: the bucket cannot be read.
    """
    return _Registration(catalog, storage, connection, stream, evidence).run()


class _Registration:
    def __init__(
        self,
        catalog: Catalog,
        storage: LakeStorage,
        connection: Connection,
        stream: Stream,
        evidence: Evidence | None,
    ) -> None:
        dialect = connection.destination.dialect
        if dialect is None:
            raise ConfigurationError(
                f"Connection {connection.name} does not say that Airbyte lands it.",
                remedy="Give its destination a dialect: {name: lake, dialect: v2}.",
            )
        self._dialect: Dialect = dialect
        self._catalog, self._storage = catalog, storage
        self._connection, self._stream = connection, stream
        self._evidence = evidence
        self._namespace = connection.bronze_namespace
        self._folder = stream_folder(self._namespace, stream.name)
        empties = evidence is not None and evidence.empties
        self._overwrites = stream.sync_mode == "full_refresh_overwrite" or empties

    def run(self) -> StreamResult:
        started = time.monotonic()
        result = StreamResult(
            self._connection.name, self._namespace, self._stream.name, self._stream.sync_mode
        )
        clean_up(self._catalog, self._storage, self._namespace, self._stream.name)
        known = _Known.read(self._catalog, self._namespace, self._stream.name)
        self._storage.delete(sorted(self._copies() - known.paths))
        if self._overwrites and not self._is_complete(known):
            return replace(result, seconds=time.monotonic() - started)
        found = self._find(known)
        if not self._overwrites:
            found = [file for file in found if file.path not in known.paths]
        footers = self._read_footers(found)
        if self._overwrites and self._dialect == "v2":
            newest = max((f.generation_id or 0 for f in footers), default=0)
            footers = [f for f in footers if (f.generation_id or 0) == newest or not f.row_count]
        vanished = [] if self._overwrites else self._vanished(known)
        outcome = SyncOutcome([], [], replaces=self._overwrites)
        if self._overwrites and known.landed_at and {f.file.path for f in footers} == known.shown:
            footers = []  # a job that left this stream alone
        elif footers or vanished or self._overwrites:
            outcome = self._enter(footers, vanished)
        self._remember_job()
        return replace(
            result, row_count=sum(f.row_count for f in footers), file_count=len(footers),
            bytes=sum(f.file.size for f in footers), misfit_count=outcome.misfit_count,
            schema_changes=tuple(outcome.schema_changes), seconds=time.monotonic() - started,
        )  # fmt: skip

    def _is_complete(self, known: _Known) -> bool:
        """Whether Airbyte has completed a sync that is not in the manifest yet."""
        if self._evidence is None:
            raise ConfigurationError(
                f"Stream {self._stream.name} is overwritten by each sync, and only Airbyte's API "
                "can say when one is complete.",
                remedy="Set LAVRA_AIRBYTE_URL and its fellows, or append: full_refresh_append.",
            )
        return self._evidence.succeeded and self._evidence.job_id != known.job_id

    def _find(self, known: _Known) -> list[StoredFile]:
        """List Airbyte's files; what our own runs wrote, or left behind, is not among them."""
        return [
            file
            for file in self._storage.list_files(self._folder)
            if _GRAMMAR.fullmatch(file.path.removeprefix(f"{self._folder}/"))
            and not file.path.startswith(known.prefixes)
        ]

    def _vanished(self, known: _Known) -> list[str]:
        """Return files in the manifest that Airbyte has deleted (a refresh, a clear)."""
        if not known.in_place:
            return []
        there = {file.path for file in self._storage.list_files(self._folder)}
        return sorted(known.in_place - there)

    def _copies(self) -> set[str]:
        folder = f"{KEPT}/{self._namespace}/{self._stream.name}"
        return {file.path for file in self._storage.list_files(folder)}

    def _read_footers(self, files: Sequence[StoredFile]) -> list[Footer]:
        with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
            footers = list(pool.map(self._read_footer, files))
        return [footer for footer in footers if footer is not None]

    def _read_footer(self, file: StoredFile) -> Footer | None:
        place = f"{self._storage.url}/{file.path}"
        try:
            with self._storage.open_input(file.path) as stream:
                parquet = pq.ParquetFile(stream)
                shape = Shape(self._dialect, parquet.schema_arrow)
                shape.check(place)
                metadata = parquet.metadata
                generation = _generation(parquet) if self._dialect == "v2" else None
                extras = count_extras(_value_counts(metadata))
        except pa.ArrowInvalid as error:
            raise ContractError(
                f"{place} is not a Parquet file: {error}.",
                remedy="Give the destination the format Parquet; move what else lies there away.",
            ) from error
        except StorageError:
            if self._storage.exists(file.path):
                raise
            if self._overwrites:
                raise self._overtaken() from None
            return None  # a refresh removed it
        return Footer(file, shape, metadata.num_rows, generation, extras)

    def _enter(self, footers: Sequence[Footer], vanished: Sequence[str]) -> SyncOutcome:
        before = stream_state(self._catalog, self._namespace, self._stream.name)
        sync = begin_sync(
            self._catalog, connection_name=self._connection.name, namespace=self._namespace,
            stream=self._stream.name, sync_mode=self._stream.sync_mode,
            new_generation=self._overwrites,
        )  # fmt: skip
        columns = _columns(footers) or list(before.columns)
        changes = [] if before.landed_at is None else schema_changes(before.columns, columns)
        files = [WrittenFile(f.file.path, f.row_count, f.file.size) for f in footers]
        try:
            if self._overwrites:
                files = [replace(file, path=self._keep(sync, file.path)) for file in files]
                if self._evidence is not None and not self._evidence.is_newest():
                    raise self._overtaken()
            outcome = SyncOutcome(
                files, columns, replaces=self._overwrites, state=before.state,
                misfit_count=sum(f.extras for f in footers), schema_changes=changes,
            )  # fmt: skip
            with self._catalog.connect() as connection:
                shapes = _enter_shapes(connection, sync, footers)
                origins = [f.file.path if self._overwrites else None for f in footers]
                insert_files(connection, sync, list(zip(files, shapes, origins, strict=True)))
                connection.execute(
                    "update lavra.landing_file set replaced_at = clock_timestamp(), "
                    "deleted_at = clock_timestamp() where path = any(%s)",
                    (list(vanished),),
                )
                finish_sync(connection, sync, outcome)
                self._note_job(connection)
        except (SourceError, StorageError) as error:
            fail_sync(self._catalog, sync, str(error))
            raise
        return outcome

    def _keep(self, sync: Sync, path: str) -> str:
        name = path.rsplit("/", 1)[-1]
        kept = f"{KEPT}/{self._namespace}/{self._stream.name}/{sync.id}/{name}"
        try:
            self._storage.copy(path, kept)
        except StorageError as error:
            if self._storage.exists(path):
                raise
            raise self._overtaken() from error
        return kept

    def _overtaken(self) -> SourceError:
        return SourceError(
            f"Airbyte began to overwrite {self._stream.name} again before it was entered.",
            remedy="The last complete sync stays visible; the one that runs now is entered when "
            "it is complete.",
        )

    def _remember_job(self) -> None:
        with self._catalog.connect() as connection:
            self._note_job(connection)

    def _note_job(self, connection: psycopg.Connection) -> None:
        if self._evidence is not None and (self._evidence.succeeded or not self._overwrites):
            connection.execute(
                "update lavra.landing_stream set airbyte_job_id = %s "
                "where namespace = %s and stream = %s",
                (self._evidence.job_id, self._namespace, self._stream.name),
            )


@dataclass(frozen=True)
class _Known:
    """What the manifest has of a stream already.

    Attributes:
        paths: Of files, and of Airbyte's files that we hold copies of.
        in_place: Of those, Airbyte's own that readers see.
        shown: Airbyte's files that readers see the copies of.
        prefixes: Of what our own runs wrote.
        job_id: Airbyte's newest job that was entered.
        landed_at: When the stream was last complete.
    """

    paths: frozenset[str]
    in_place: frozenset[str]
    shown: frozenset[str]
    prefixes: tuple[str, ...]
    job_id: int | None
    landed_at: dt.datetime | None

    @classmethod
    def read(cls, catalog: Catalog, namespace: str, stream: str) -> _Known:
        key = (namespace, stream)
        with catalog.connect() as connection:
            files = connection.execute(
                "select path, origin, schema_id is not null and origin is null "
                "and replaced_at is null and compacted_into is null and not is_compaction, "
                "replaced_at is null from lavra.landing_file where namespace = %s and stream = %s",
                key,
            ).fetchall()
            prefixes = connection.execute(
                "select file_prefix from lavra.landing_sync where namespace = %s and stream = %s",
                key,
            ).fetchall()
            job = connection.execute(
                "select airbyte_job_id, landed_at from lavra.landing_stream "
                "where namespace = %s and stream = %s",
                key,
            ).fetchone()
        paths = {path for row in files for path in row[:2] if path}
        in_place = {path for path, _, is_airbytes, _ in files if is_airbytes}
        shown = {origin for _, origin, _, counts in files if origin and counts}
        return cls(
            frozenset(paths), frozenset(in_place), frozenset(shown),
            tuple(prefix for (prefix,) in prefixes), *(job or (None, None)),
        )  # fmt: skip


def _enter_shapes(
    connection: psycopg.Connection, sync: Sync, footers: Sequence[Footer]
) -> list[int]:
    numbers: dict[str, int] = {}
    for footer in footers:
        shape = footer.shape
        if shape.digest in numbers:
            continue
        content = shape.schema.remove_metadata().serialize().to_pybytes()
        row = connection.execute(
            "insert into lavra.landing_schema (namespace, stream, dialect, digest, arrow_schema) "
            "values (%s, %s, %s, %s, %s) on conflict (namespace, stream, dialect, digest) "
            "do update set digest = excluded.digest returning id",
            (sync.namespace, sync.stream, shape.dialect, shape.digest, content),
        ).fetchone()
        assert row is not None  # noqa: S101 - an upsert returns its row
        numbers[shape.digest] = row[0]
    return [numbers[footer.shape.digest] for footer in footers]


def _columns(footers: Iterable[Footer]) -> list[Column]:
    """Return the columns of several files: a type that differs becomes one that holds both."""
    found: dict[str, str] = {}
    for shape in {footer.shape.digest: footer.shape for footer in footers}.values():
        for name, value in shape.columns().items():
            kind = landed_type(value.type)
            other = found.setdefault(name, kind)
            if other != kind:
                lower, upper = sorted((other, kind))
                found[name] = _WIDER.get((lower, upper), types.STRING)
    return [Column(name, kind) for name, kind in found.items()]


def _generation(parquet: pq.ParquetFile) -> int | None:
    """Return a file's generation: from the footer's statistics, else from its rows."""
    metadata = parquet.metadata
    place = parquet.schema_arrow.names.index(GENERATION_ID)
    for group in range(metadata.num_row_groups):
        columns = (metadata.row_group(group).column(i) for i in range(metadata.num_columns))
        found = next((c for c in columns if c.path_in_schema == GENERATION_ID), None)
        if found is not None and found.statistics is not None and found.statistics.has_min_max:
            return int(found.statistics.max)
    if metadata.num_rows == 0:
        return None
    value = parquet.read(columns=[parquet.schema_arrow.names[place]]).column(0)[0].as_py()
    return None if value is None else int(value)


def _value_counts(metadata: pq.FileMetaData) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        for place in range(metadata.num_columns):
            column = metadata.row_group(group).column(place)
            statistics = column.statistics
            if statistics is None or not statistics.has_null_count:
                continue
            path = column.path_in_schema
            counts[path] = counts.get(path, 0) + statistics.num_values
    return counts
