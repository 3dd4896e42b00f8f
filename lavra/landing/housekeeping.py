"""Keeps Bronze tidy: small files become large ones, old ones go, and nobody's reading is cut.

An object is deleted only when its row has said for ``bronze_keep_replaced_days`` that it does not
count, was not needed when the plan or run that writes the lake now began, and stands in no view.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lavra.catalog.locks import LAKE_WRITE_LOCK, held_since
from lavra.ducklake import connect_duckdb
from lavra.errors import ContractError
from lavra.landing.bronze_reader import group_sql, read_schema
from lavra.landing.bronze_writer import CONTRACT, RAW_ID
from lavra.landing.connection_lock import connection_lock
from lavra.landing.manifest import LandedFile, begin_sync, clean_up, fail_sync, landed
from lavra.landing.registration import KEPT

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog
    from lavra.landing.connections import Connection, Stream
    from lavra.landing.manifest import Sync
    from lavra.settings import Settings
    from lavra.storage import LakeStorage

COMPACTION = "compaction"
"""The mode of a sync that lands nothing."""

_MB = 1024 * 1024
_BATCH_ROWS = 100_000
_BATCH_BYTES = 64 * _MB


@dataclass(frozen=True)
class Tidied:
    """What was done for one stream: ``compacted`` files became ``written`` ones."""

    connection: str
    namespace: str
    stream: str
    compacted: int = 0
    written: int = 0
    expired: int = 0
    deleted: int = 0
    seconds: float = 0.0


def tidy(
    settings: Settings,
    catalog: Catalog,
    storage: LakeStorage,
    connection: Connection,
    *,
    compact_from: int | None = None,
) -> list[Tidied]:
    """Tidy a connection's streams, under its lock.

    Safe to be killed at any moment: a compacted file counts instead of the small ones from one
    transaction on, and objects are deleted only after their rows have said so.

    Args:
        settings: Say what is small, old and large.
        catalog: Holds the manifest.
        storage: The lake's files.
        connection: Whose streams.
        compact_from: Small files of a stream from which on they are compacted; None never does.

    Raises:
        StorageError: a file cannot be read, written or deleted.
        ContractError: a compacted file would not hold the rows of the small ones.
    """
    results = []
    with connection_lock(catalog, connection.name):
        for stream in connection.streams:
            started = time.monotonic()
            work = _StreamTidying(settings, catalog, storage, connection, stream)
            clean_up(catalog, storage, connection.bronze_namespace, stream.name)
            expired = work.expire()
            compacted, written = work.compact(compact_from) if compact_from else (0, 0)
            deleted = work.sweep()
            results.append(Tidied(
                connection.name, connection.bronze_namespace, stream.name, compacted, written,
                expired, deleted, time.monotonic() - started,
            ))  # fmt: skip
    return results


class _StreamTidying:
    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        storage: LakeStorage,
        connection: Connection,
        stream: Stream,
    ) -> None:
        self._settings, self._catalog, self._storage = settings, catalog, storage
        self._connection, self._stream = connection, stream
        self._namespace = connection.bronze_namespace
        self._key = (self._namespace, stream.name)

    # Compaction.

    def compact(self, at_least: int) -> tuple[int, int]:
        """Write small files of one schema as one; return how many became how many."""
        small = self._settings.bronze_small_file_mb * _MB
        sizes = self._sizes()
        files = [
            file
            for file in landed(self._catalog, self._storage, *self._key).files
            if sizes[file.path] < small
        ]
        compacted = written = 0
        if len(files) < at_least:
            return 0, 0
        for group in self._groups(files):
            for part in _parts(group, sizes, self._settings.bronze_large_file_mb * _MB):
                if len(part) > 1:
                    self._write(part)
                    compacted, written = compacted + len(part), written + 1
        return compacted, written

    def _groups(self, files: Sequence[LandedFile]) -> list[list[LandedFile]]:
        """Return files by what they hold: only those of one schema and generation go together."""
        groups: dict[Any, list[LandedFile]] = {}
        for file in files:
            if file.shape is None:
                kind: Any = read_schema(self._storage, file.path).remove_metadata()
            else:
                kind = (file.shape.dialect, file.shape.digest)
            groups.setdefault((file.generation_id, kind), []).append(file)
        return list(groups.values())

    def _write(self, files: Sequence[LandedFile]) -> None:
        sync = begin_sync(
            self._catalog, connection_name=self._connection.name, namespace=self._namespace,
            stream=self._stream.name, sync_mode=COMPACTION, new_generation=False,
        )  # fmt: skip
        path = f"{sync.prefix}0.parquet"
        if self._connection.destination.dialect is not None:
            # Where Airbyte does not look: an overwrite of its own deletes what lies in its folder.
            path = f"{KEPT}/{self._namespace}/{self._stream.name}/{path.rsplit('/', 1)[-1]}"
        try:
            rows, size = self._copy_rows(files, path)
            self._commit(sync, files, path, rows, size)
        except Exception as error:
            fail_sync(self._catalog, sync, str(error))
            raise

    def _copy_rows(self, files: Sequence[LandedFile], path: str) -> tuple[int, int]:
        schema = None
        if files[0].shape is None:
            schema = read_schema(self._storage, files[0].path).remove_metadata()
        with connect_duckdb(self._storage, threads=2) as duckdb:
            batches = (
                batch
                for _, same in groupby(files, key=lambda file: file.sync_id)
                for batch in duckdb.execute(group_sql(list(same))).to_arrow_reader(_BATCH_ROWS)
            )
            return self._write_batches(_gathered(batches), path, schema)

    def _write_batches(
        self, tables: Iterator[pa.Table], path: str, schema: pa.Schema | None
    ) -> tuple[int, int]:
        rows = 0
        with self._storage.publish(path) as stream:
            writer: pq.ParquetWriter | None = None
            for table in tables:
                schema = schema or _contract_schema(table.schema)
                if writer is None:
                    writer = pq.ParquetWriter(
                        stream, schema, compression="zstd",
                        use_dictionary=[f.name for f in schema
                                        if pa.types.is_string(f.type) and f.name != RAW_ID],
                        column_encoding={RAW_ID: "DELTA_BYTE_ARRAY"},
                    )  # fmt: skip
                writer.write_table(table.select(schema.names).cast(schema))
                rows += table.num_rows
            if writer is None:
                writer = pq.ParquetWriter(stream, schema or CONTRACT)
            writer.close()
            return rows, stream.tell()

    def _commit(
        self, sync: Sync, files: Sequence[LandedFile], path: str, rows: int, size: int
    ) -> None:
        paths = [file.path for file in files]
        with self._catalog.connect() as connection:
            row = connection.execute(
                "select coalesce(sum(row_count), 0)::bigint, count(*) from lavra.landing_file "
                "where path = any(%s) and replaced_at is null and compacted_into is null",
                (paths,),
            ).fetchone()
            if row is None or (row[0], row[1]) != (rows, len(files)):
                raise ContractError(
                    f"bronze/{self._namespace}/{self._stream.name} was not compacted: its files "
                    f"hold {rows:,} rows, the manifest says {row[0] if row else 0:,}.",
                    remedy="A file was changed in the bucket; land the stream with --full-refresh.",
                )
            connection.execute(
                "insert into lavra.landing_file (path, namespace, stream, generation_id, sync_id, "
                "row_count, bytes, is_compaction) values (%s, %s, %s, %s, %s, %s, %s, true)",
                (path, *self._key, files[0].generation_id, sync.id, rows, size),
            )
            connection.execute(
                "update lavra.landing_file set compacted_into = %s, "
                "compacted_at = coalesce(compacted_at, clock_timestamp()) "
                "where path = any(%s) or compacted_into = any(%s)",
                (path, paths, paths),
            )
            connection.execute(
                "update lavra.landing_sync set status = 'succeeded', row_count = %s, bytes = %s, "
                "ended_at = clock_timestamp() where id = %s",
                (rows, size, sync.id),
            )

    # Retention.

    def expire(self) -> int:
        """Stop counting files past the stream's retention that every model has read."""
        if self._stream.retention is None:
            return 0
        with self._catalog.connect() as connection:
            connection.execute(
                "select 1 from lavra.landing_stream where namespace = %s and stream = %s "
                "for update",
                self._key,
            )
            rows = connection.execute(
                """
                select coalesce(f.compacted_into, f.path), array_agg(f.path), max(l.ended_at)
                from lavra.landing_file f join lavra.landing_sync l on l.id = f.sync_id
                where f.namespace = %s and f.stream = %s and f.replaced_at is null
                  and not f.is_compaction group by 1
                """,
                self._key,
            ).fetchall()
            read = self._read_by_all(connection)
            cutoff = dt.datetime.now(dt.UTC) - self._stream.retention
            gone = [
                path
                for file, origins, newest in rows
                if newest < cutoff and {_name(origin) for origin in origins} <= read
                for path in {file, *origins}
            ]
            connection.execute(
                "update lavra.landing_file set replaced_at = clock_timestamp() "
                "where path = any(%s)",
                (gone,),
            )
        return len(gone)

    def _read_by_all(self, connection: psycopg.Connection) -> set[str]:
        """Return the names of files that every model which reads the stream has read."""
        rows = connection.execute(
            "select inputs -> %s, pending_since is not null from lavra.evaluation "
            "where jsonb_exists(inputs, %s)",
            (f"landed:{self._namespace}.{self._stream.name}",) * 2,
        ).fetchall()
        if not rows or any(is_pending for _, is_pending in rows):
            return set()
        return set.intersection(*(set(names) for names, _ in rows))

    def sweep(self) -> int:
        """Delete the objects that have not counted for long, and return how many."""
        days = dt.timedelta(days=self._settings.bronze_keep_replaced_days)
        with self._catalog.connect() as connection:
            cutoff = dt.datetime.now(dt.UTC) - days
            writing_since = held_since(connection, LAKE_WRITE_LOCK)
            if writing_since is not None:  # a model may be reading what counted when it began
                cutoff = min(cutoff, writing_since)
            rows = connection.execute(
                """
                select path, replaced_at is not null, generation_id from lavra.landing_file
                where namespace = %s and stream = %s and deleted_at is null
                  and least(replaced_at, compacted_at) < %s
                """,
                (*self._key, cutoff),
            ).fetchall()
            replaced = sorted({row[2] for row in rows if row[1]}, reverse=True)
            kept = set(replaced[: self._settings.bronze_keep_generations])
            viewed = _in_views(connection)
            paths = [
                path
                for path, is_replaced, generation in rows
                if not (is_replaced and generation in kept) and not any(path in v for v in viewed)
            ]
        self._storage.delete(paths)
        with self._catalog.connect() as connection:
            connection.execute(
                "update lavra.landing_file set deleted_at = clock_timestamp() "
                "where path = any(%s) and deleted_at is null",
                (paths,),
            )
            # The row of a file that was compacted and still counts is its name for the models.
            connection.execute(
                """
                delete from lavra.landing_file f where namespace = %s and stream = %s
                  and deleted_at is not null
                  and (replaced_at is not null or is_compaction)
                  and not exists (select from lavra.landing_file o where o.compacted_into = f.path
                                  and not (o.deleted_at is not null and o.replaced_at is not null))
                """,
                self._key,
            )
        return len(paths)

    def _sizes(self) -> dict[str, int]:
        with self._catalog.connect() as connection:
            rows = connection.execute(
                "select path, bytes from lavra.landing_file where namespace = %s and stream = %s",
                self._key,
            ).fetchall()
        return dict(rows)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield tables large enough for a row group each."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield pa.Table.from_batches(held)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)


def _parts(
    files: Sequence[LandedFile], sizes: dict[str, int], large: int
) -> Iterator[list[LandedFile]]:
    part: list[LandedFile] = []
    total = 0
    for file in files:
        if part and total + sizes[file.path] > large:
            yield part
            part, total = [], 0
        part.append(file)
        total += sizes[file.path]
    if part:
        yield part


def _contract_schema(schema: pa.Schema) -> pa.Schema:
    own = [field for field in schema if field.name not in CONTRACT.names]
    return pa.schema([*own, *CONTRACT])


def _in_views(connection: psycopg.Connection) -> list[str]:
    """Return the definitions of DuckLake's views, of every snapshot that is still there."""
    row = connection.execute("select to_regclass('ducklake.ducklake_view')").fetchone()
    if row is None or row[0] is None:
        return []
    rows = connection.execute(
        "select sql from ducklake.ducklake_view where sql ilike '%%.parquet%%'"
    ).fetchall()
    return [sql for (sql,) in rows]


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
