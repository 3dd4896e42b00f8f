"""``lavra.access_log``: the access log of the catalog, asked for like any table.

It belongs to no release: whoever may see it and names it gets the log as it is now, beside the
release's tables. The log is held in blocks (an hour of today, a day of the past), each a segment;
since the log only grows and only retention shortens it, a block whose count, first and last entry
are the same is the same, and is not read again. The rules of the policy then apply as to any table.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import io
import logging
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv

from lavra.access import record
from lavra.access.rights import TableShape
from lavra.errors import CatalogError, StorageError
from query_service.cache.loader import LoadReport
from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import segment_rows, servable_schema, write_segment
from query_service.release_store import LoadedRelease
from query_service.releases import ReleaseTable

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog

logger = logging.getLogger("query_service")

REREAD_S = 2.0
"""The log is looked at again after this long, when it is asked for."""

MOST_ENTRIES = 500_000
"""Entries held, in whole blocks from the newest; at least one block."""

ROWS_PER_BATCH = 32_768
_TYPES = {
    "TIMESTAMP": pa.timestamp("us"),
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
}
_READ = pa.schema([(one.name, _TYPES[one.type]) for one in record.COLUMNS])
SCHEMA = servable_schema(_READ)
SHAPE = TableShape(record.NAME, {one.name: frozenset() for one in record.COLUMNS})
_FORMAT = hashlib.sha256(repr((1, record.COLUMNS)).encode()).hexdigest()


@dataclass(frozen=True)
class _Block:
    """Entries of an hour or a day: how many, the first's and the last's time."""

    count: int
    first: dt.datetime
    last: dt.datetime

    @property
    def digest(self) -> str:
        text = f"{_FORMAT} {self.count} {self.first.isoformat()} {self.last.isoformat()}"
        return hashlib.sha256(text.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class _Held:
    """The log as it was read: its table, its newest entry's time, what tells it from others."""

    table: CachedTable
    newest: dt.datetime | None
    version: str


class AccessRecord:
    """Puts the access log beside releases. All methods run on one event loop.

    Args:
        catalog: Holds the log.
        folder: Where segments and manifests are kept; emptied at the start.
    """

    def __init__(self, catalog: Catalog, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._catalog = catalog
        self._folder = folder
        self._held: _Held | None = None
        self._looked = float("-inf")
        self._reading = asyncio.Lock()
        self._beside: dict[str, LoadedRelease] = {}
        self._earlier: list[LoadedRelease] = []

    @property
    def files(self) -> set[str]:
        """The manifests that engines must not forget."""
        return {str(made.file) for made in (*self._beside.values(), *self._earlier)}

    async def beside(self, loaded: LoadedRelease) -> LoadedRelease:
        """Return a release with the log as it is now beside its tables.

        Raises:
            CatalogUnavailable: the catalog is away, and the log was never read.
            StorageError: a segment cannot be written.
        """
        async with self._reading:
            held = await self._read()
            made = self._beside.get(loaded.id)
            if made is None or made.record != held.version:
                if made is not None:
                    self._earlier.append(made)
                made = await asyncio.to_thread(self._make, loaded, held)
                self._beside[loaded.id] = made
            return made

    def free(self, views: list[LoadedRelease], release_ids: set[str] | None = None) -> bool:
        """Let go of what neither the releases nor these views need any more.

        Returns:
            Whether engines may forget something, too.
        """
        if release_ids is not None:
            gone = [key for key in self._beside if key not in release_ids]
            self._earlier += [self._beside.pop(key) for key in gone]
        before = len(self._earlier)
        self._earlier = [made for made in self._earlier if made.uses]
        if len(self._earlier) == before:
            return False
        if self._reading.locked():
            return True  # what is being written is nobody's yet
        kept = {
            s for made in (*self._beside.values(), *self._earlier, *views) for s in made.segments
        }
        if self._held:
            kept.update(self._held.table.segments)
        for path in self._folder.glob("segments/*.seg"):
            if str(path) not in kept:
                path.unlink(missing_ok=True)
        for path in self._folder.glob("releases/*.json"):
            if str(path) not in self.files:
                path.unlink(missing_ok=True)
        return True

    async def _read(self) -> _Held:
        if self._held and time.monotonic() - self._looked < REREAD_S:
            return self._held
        try:
            self._held = await asyncio.to_thread(self._read_in_thread)
        except CatalogError as error:
            if self._held is None:
                raise
            logger.warning("the access log is shown as it was: %s", error)
        self._looked = time.monotonic()
        return self._held

    def _read_in_thread(self) -> _Held:
        paths: list[Path] = []
        with self._catalog.connect() as connection:
            # One moment for all statements, or a block could differ from its name.
            connection.execute("set transaction isolation level repeatable read, read only")
            blocks = _blocks(connection)
            for block in blocks:
                path = self._folder / "segments" / f"{block.digest}.seg"
                if not path.exists():
                    try:
                        write_segment(path, SCHEMA, _entries(connection, block))
                    except OSError as error:
                        raise StorageError(
                            f"Cannot hold the access log: {error.strerror or error}."
                        ) from error
                paths.append(path)
        table = CachedTable(
            record.SCHEMA,
            record.TABLE,
            SCHEMA,
            tuple(map(str, paths)),
            sum(path.stat().st_size for path in paths),
            sum(map(segment_rows, paths)),
        )
        version = hashlib.sha256("".join(b.digest for b in blocks).encode()).hexdigest()[:16]
        return _Held(table, blocks[-1].last if blocks else None, version)

    def _make(self, loaded: LoadedRelease, held: _Held) -> LoadedRelease:
        path = self._folder / "releases" / f"{loaded.id}-{held.version}.json"
        cached = [*loaded.report.cached, held.table]
        write_release_file(path, cached)
        release = replace(loaded.release, tables=[*loaded.release.tables, _described(held)])
        report = LoadReport(tables=len(cached), cached=cached)
        return LoadedRelease(
            release, path, report, dt.datetime.now(dt.UTC), record=held.version, live=loaded.live
        )


def _blocks(connection: psycopg.Connection) -> list[_Block]:
    """Return the log's blocks, the oldest first: the newest that make up :data:`MOST_ENTRIES`."""
    rows = connection.execute(
        "select count(*), min(at), max(at) from lavra.access_log group by date_trunc("
        "case when at >= date_trunc('day', clock_timestamp(), 'UTC') then 'hour' else 'day' end, "
        "at, 'UTC') order by 2 desc"
    ).fetchall()
    found: list[_Block] = []
    total = 0
    for row in rows:
        total += row[0]
        if found and total > MOST_ENTRIES:
            break
        found.append(_Block(*row))
    return found[::-1]


def _entries(connection: psycopg.Connection, block: _Block) -> list[pa.RecordBatch]:
    """Return a block's entries, the oldest first; Arrow reads them, not Python."""
    selected = ", ".join(one.sql or one.name for one in record.COLUMNS)
    statement = (
        f"copy (select {selected} from lavra.access_log "  # noqa: S608 - our own names
        "where at between %s and %s order by at, id) to stdout (format csv, encoding 'UTF8')"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(statement.encode(), (block.first, block.last)) as copied,
    ):
        text = b"".join(copied)
    if not text:
        return []
    read = csv.read_csv(
        io.BytesIO(text),
        read_options=csv.ReadOptions(column_names=_READ.names),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=_READ,
            # Only an unquoted empty value is a null of Postgres.
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    batches: list[pa.RecordBatch] = read.to_batches(max_chunksize=ROWS_PER_BATCH)
    return batches


def _described(held: _Held) -> ReleaseTable:
    columns: list[dict[str, Any]] = [
        {"name": one.name, "type": one.type, "description": one.description, "tags": []}
        for one in record.COLUMNS
    ]
    return ReleaseTable(
        schema_name=record.SCHEMA,
        table_name=record.TABLE,
        physical_schema=record.SCHEMA,
        physical_table=record.TABLE,
        description=record.DESCRIPTION,
        columns=columns,
        grain=["id"],
        time_column=record.TIME_COLUMN,
        upstream=[],
        audits=[],
        row_count=held.table.row_count,
        bytes=held.table.bytes,
        data_through=held.newest,
    )
