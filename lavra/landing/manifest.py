"""The manifest: which files of Bronze count, and where an incremental read goes on.

It lives in the catalog. Files become visible and the state advances in one transaction
(:func:`commit_sync`), after the files are durable. A crash before it leaves files that nobody
reads; :func:`clean_up` removes them at the stream's next run, which holds the connection's lock
and so knows that nobody is still writing them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lavra.errors import ConfigurationError
from lavra.landing.bronze_writer import WrittenFile, file_prefix, stream_folder
from lavra.storage.lake_storage import TEMPORARY_PREFIX

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog
    from lavra.landing.dialects import Shape
    from lavra.storage import LakeStorage


@dataclass(frozen=True)
class Column:
    """A column of a stream as it landed: ``type`` is the name of :mod:`lavra.landing.types`."""

    name: str
    type: str


@dataclass(frozen=True)
class StreamState:
    """What the manifest knows of a stream; the defaults are those of one that never landed."""

    namespace: str
    stream: str
    generation_id: int = 0
    minimum_generation_id: int = 0
    state: dict[str, Any] | None = None
    columns: tuple[Column, ...] = ()
    landed_at: dt.datetime | None = None


@dataclass(frozen=True)
class Sync:
    """One attempt to land a stream."""

    id: int
    namespace: str
    stream: str
    generation_id: int
    prefix: str
    started_at: dt.datetime


@dataclass(frozen=True)
class SyncOutcome:
    """What :func:`commit_sync` records of a sync that succeeded."""

    files: Sequence[WrittenFile]
    columns: Sequence[Column]
    replaces: bool
    """Whether readers see only this generation from now on."""
    state: dict[str, Any] | None = None
    misfit_count: int = 0
    skipped_count: int = 0
    schema_changes: Sequence[dict[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True)
class LandedFile:
    """A file that counts.

    Attributes:
        path: Below the lake's root.
        url: As DuckDB takes it.
        generation_id: The manifest's, which rises with each complete re-reading.
        sync_id: Of the sync that landed it.
        shape: What it holds, where that is not the contract itself.
    """

    path: str
    url: str
    generation_id: int
    sync_id: int
    shape: Shape | None = None


@dataclass(frozen=True)
class Landed:
    """What counts of a stream: the files to read, and the names by which models remember them.

    A name stands for the same rows for ever: compaction changes files, not names.
    """

    files: tuple[LandedFile, ...]
    names: tuple[str, ...]


_COUNTS = """
from lavra.landing_file f join lavra.landing_stream s
  on s.namespace = f.namespace and s.stream = f.stream
where f.namespace = %s and f.stream = %s and f.replaced_at is null
  and f.generation_id >= s.minimum_generation_id
"""


def landed(catalog: Catalog, storage: LakeStorage, namespace: str, stream: str) -> Landed:
    """Return what counts of a stream now, oldest first; nothing, if nothing has landed yet."""
    key = (namespace, stream)
    with catalog.connect() as connection:
        rows = connection.execute(
            "select f.path, f.generation_id, f.sync_id, f.schema_id, f.compacted_into is null, "
            f"not f.is_compaction {_COUNTS} order by f.sync_id, length(f.path), f.path",
            key,
        ).fetchall()
        shapes = _shapes(connection, {row[3] for row in rows} - {None})
    files = tuple(
        LandedFile(path, storage.url_of(path), generation, sync, shapes.get(schema))
        for path, generation, sync, schema, is_read, _ in rows
        if is_read
    )
    return Landed(files, tuple(row[0] for row in rows if row[5]))


def current_files(catalog: Catalog, storage: LakeStorage, namespace: str, stream: str) -> list[str]:
    """Return the files of a stream that count now, oldest first, as DuckDB takes them.

    An empty list means that nothing has landed yet.
    """
    return [file.url for file in landed(catalog, storage, namespace, stream).files]


def current_paths(catalog: Catalog, namespace: str, stream: str) -> list[str]:
    """Return the same files as paths below the lake's root."""
    with catalog.connect() as connection:
        rows = connection.execute(
            f"select f.path {_COUNTS} and f.compacted_into is null "
            "order by f.sync_id, length(f.path), f.path",
            (namespace, stream),
        ).fetchall()
    return [path for (path,) in rows]


def current_columns(catalog: Catalog, namespace: str, stream: str) -> list[Column]:
    """Return the columns of a stream's newest schema, without the ``_airbyte_*`` ones."""
    return list(stream_state(catalog, namespace, stream).columns)


def stream_state(catalog: Catalog, namespace: str, stream: str) -> StreamState:
    """Return what the manifest knows of a stream."""
    with catalog.connect() as connection:
        row = connection.execute(
            "select generation_id, minimum_generation_id, state, columns, landed_at "
            "from lavra.landing_stream where namespace = %s and stream = %s",
            (namespace, stream),
        ).fetchone()
    if row is None:
        return StreamState(namespace, stream)
    columns = tuple(Column(**column) for column in row[3])
    return StreamState(namespace, stream, row[0], row[1], row[2], columns, row[4])


def begin_sync(
    catalog: Catalog,
    *,
    connection_name: str,
    namespace: str,
    stream: str,
    sync_mode: str,
    new_generation: bool,
    run_id: int | None = None,
) -> Sync:
    """Record that a sync begins, before it writes its first file.

    Args:
        catalog: Holds the manifest.
        connection_name: Whose stream it is.
        namespace: Of the stream in Bronze.
        stream: Its name.
        sync_mode: As declared.
        new_generation: Whether what it lands is to replace what was there.
        run_id: The first sync of the run that this one goes on with; None when it is the first.

    Raises:
        ConfigurationError: the stream's place in Bronze belongs to another connection.
    """
    with catalog.connect() as connection:
        connection.execute(
            "insert into lavra.landing_stream (namespace, stream, connection) values (%s, %s, %s) "
            "on conflict do nothing",
            (namespace, stream, connection_name),
        )
        row = connection.execute(
            "select connection, generation_id from lavra.landing_stream "
            "where namespace = %s and stream = %s for update",
            (namespace, stream),
        ).fetchone()
        owner, generation = row or (connection_name, 0)
        if owner != connection_name:
            raise ConfigurationError(
                f"bronze/{namespace}/{stream} belongs to the connection {owner}, "
                f"so {connection_name} cannot land there.",
                remedy="Give one of them another `namespace`.",
            )
        if new_generation or generation == 0:
            generation += 1
        return _insert_sync(connection, namespace, stream, sync_mode, generation, run_id=run_id)


def commit_sync(catalog: Catalog, sync: Sync, outcome: SyncOutcome) -> None:
    """Make a sync's files visible and advance the stream's state, in one transaction."""
    commit_syncs(catalog, [(sync, outcome)])


def commit_syncs(catalog: Catalog, done: Sequence[tuple[Sync, SyncOutcome]]) -> None:
    """Do so for several streams, in one transaction for all."""
    with catalog.connect() as connection:
        for sync, outcome in done:
            insert_files(connection, sync, [(file, None, None) for file in outcome.files])
            finish_sync(connection, sync, outcome)


def insert_files(
    connection: psycopg.Connection,
    sync: Sync,
    files: Sequence[tuple[WrittenFile, int | None, str | None]],
) -> None:
    """Enter a sync's files, each with the number of its schema and its origin, if it has them."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into lavra.landing_file (path, namespace, stream, generation_id, sync_id, "
            "row_count, bytes, schema_id, origin) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    file.path, sync.namespace, sync.stream, sync.generation_id, sync.id,
                    file.row_count, file.size, schema_id, origin,
                )
                for file, schema_id, origin in files
            ],
        )  # fmt: skip


def finish_sync(connection: psycopg.Connection, sync: Sync, outcome: SyncOutcome) -> None:
    """Advance a stream to the end of a sync, within the connection's transaction."""
    key = (sync.namespace, sync.stream)
    connection.execute(
        """
        update lavra.landing_stream set generation_id = %s, state = %s, columns = %s,
            minimum_generation_id = case when %s then %s else minimum_generation_id end,
            landed_at = clock_timestamp()
        where namespace = %s and stream = %s
        """,
        (
            sync.generation_id,
            None if outcome.state is None else json.dumps(outcome.state),
            json.dumps([vars(column) for column in outcome.columns]),
            outcome.replaces,
            sync.generation_id,
            *key,
        ),
    )
    if outcome.replaces:
        connection.execute(
            "update lavra.landing_file set replaced_at = clock_timestamp() "
            "where namespace = %s and stream = %s and generation_id < %s and replaced_at is null",
            (*key, sync.generation_id),
        )
    connection.execute(
        """
        update lavra.landing_sync set status = 'succeeded', ended_at = clock_timestamp(),
            row_count = %s, bytes = %s, misfit_count = %s, skipped_count = %s,
            schema_changes = %s
        where id = %s
        """,
        (
            sum(file.row_count for file in outcome.files),
            sum(file.size for file in outcome.files),
            outcome.misfit_count,
            outcome.skipped_count,
            json.dumps(list(outcome.schema_changes)),
            sync.id,
        ),
    )


def fail_sync(catalog: Catalog, sync: Sync, error: str) -> None:
    """Record that a sync failed; what it wrote stays invisible."""
    with catalog.connect() as connection:
        connection.execute(
            "update lavra.landing_sync set status = 'failed', ended_at = clock_timestamp(), "
            "error = %s where id = %s",
            (error[:2000], sync.id),
        )


def clean_up(catalog: Catalog, storage: LakeStorage, namespace: str, stream: str) -> int:
    """Remove what syncs of a stream left that never landed.

    Call it only under the connection's lock. A crash midway leaves the rest for the next call.

    Returns:
        How many files were removed.
    """
    with catalog.connect() as connection:
        dead = connection.execute(
            "select id, file_prefix from lavra.landing_sync where namespace = %s and stream = %s "
            "and status <> 'succeeded' and cleaned_at is null",
            (namespace, stream),
        ).fetchall()
    if not dead:
        return 0
    prefixes = tuple(prefix for _, prefix in dead)
    listed = storage.list_files(stream_folder(namespace, stream))
    orphans = [file.path for file in listed if file.path.startswith(prefixes)]
    orphans += _temporary_files(storage, stream_folder(namespace, stream))
    storage.delete(orphans)
    with catalog.connect() as connection:
        connection.execute(
            "update lavra.landing_sync set cleaned_at = clock_timestamp(), "
            "status = case status when 'running' then 'abandoned' else status end "
            "where id = any(%s)",
            ([number for number, _ in dead],),
        )
    return len(orphans)


def _shapes(connection: psycopg.Connection, numbers: set[int]) -> dict[int, Shape]:
    if not numbers:
        return {}
    import pyarrow as pa  # noqa: PLC0415

    from lavra.landing.dialects import Shape  # noqa: PLC0415 - few streams are Airbyte's

    rows = connection.execute(
        "select id, dialect, arrow_schema from lavra.landing_schema where id = any(%s)",
        (list(numbers),),
    ).fetchall()
    return {
        number: Shape(dialect, pa.ipc.read_schema(pa.py_buffer(content)))
        for number, dialect, content in rows
    }


def _insert_sync(
    connection: psycopg.Connection,
    namespace: str,
    stream: str,
    sync_mode: str,
    generation: int,
    *,
    run_id: int | None = None,
) -> Sync:
    started_at = dt.datetime.now(dt.UTC)
    while True:
        prefix = file_prefix(namespace, stream, started_at)
        row = connection.execute(
            "insert into lavra.landing_sync "
            "(namespace, stream, sync_mode, generation_id, file_prefix, started_at, run_id) "
            "values (%s, %s, %s, %s, %s, %s, %s) "
            "on conflict (file_prefix) do nothing returning id",
            (namespace, stream, sync_mode, generation, prefix, started_at, run_id),
        ).fetchone()
        if row:
            return Sync(row[0], namespace, stream, generation, prefix, started_at)
        # A clock that was set back, or two syncs in one millisecond: paths are never used twice.
        started_at += dt.timedelta(milliseconds=1)


def _temporary_files(storage: LakeStorage, folder: str) -> list[str]:
    if not storage.is_local:
        return []  # an upload that was cut off leaves nothing in a bucket
    root = storage.full_path("")
    found = storage.to_fsspec().glob(storage.full_path(folder, f"{TEMPORARY_PREFIX}*"))
    return [str(path).removeprefix(root) for path in found]
