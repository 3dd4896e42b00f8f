"""The rows that live tables are made of, kept in DuckDB between commits.

A commit of a stream is a few rows, and what lies before it does not change. So what live views read
is copied into DuckDB's memory once, and a commit adds the rows that it brought: of a landing table
those after what is held already, by their sequence. To read a table of the lake costs tens of
milliseconds even if nothing is in it, and to connect and attach a second or more.

The copies are copies: a table whose rows were deleted or whose columns changed, or of which it is
not known what happened, is read anew; after an error that stays all of them are.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from lavra.ducklake import LAKE, attach_lake, connect_duckdb
from lavra.errors import CatalogError
from lavra.landing.inference import quoted
from lavra.streams.source import SEQUENCE
from query_service.cache.live_views import (
    TAILS,
    Changes,
    LiveViews,
    Place,
    changes_between,
    data_bytes,
    settled_database,
    table_ids,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from query_service.releases import Release

logger = logging.getLogger("query_service")

HELD_BYTES = 128 * 1024 * 1024
"""Settled tables of a release are copied while their files are not larger than this together, the
smallest first; the others are read from the lake at each commit."""

HELD_ROWS = 5_000_000
"""Of a landing table at most so many rows are copied; if there are more, it is read in the lake."""

MEMORY_LIMIT = "2GB"
"""What DuckDB may hold of copies; more is put on disk."""


@dataclass
class _Tail:
    """The copy of a landing table.

    Attributes:
        table_id: Of the table that was copied.
        at: The snapshot that it is right at.
        above: Rows up to this sequence are left out; None if none are.
        last: The highest sequence that is held.
        changed_at: The snapshot at which it was last another.
        is_copy: Whether rows are held; otherwise it is a view of the lake.
    """

    table_id: int
    at: int
    above: int | None
    last: int
    changed_at: int
    is_copy: bool


@dataclass(frozen=True)
class _Commit:
    """A commit: its snapshot, the ids of tables at it, and what happened since those held."""

    at: int
    ids: dict[Place, int]
    changes: Changes


@dataclass
class _Held:
    """A DuckDB instance and what is in it."""

    duck: duckdb.DuckDBPyConnection
    tails: dict[Place, _Tail] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)


class LiveRows:
    """Copies of what live tables read, in one DuckDB instance that is kept.

    :meth:`settle` may run beside the other methods, of which one runs at a time.

    Args:
        catalog: Of the lake.
        storage: Its files.
        folder: Where DuckDB puts what does not fit its memory.
    """

    def __init__(self, catalog: Catalog, storage: LakeStorage, folder: Path) -> None:
        self._catalog, self._storage, self._folder = catalog, storage, folder
        self._held: _Held | None = None
        self._connecting = threading.Lock()
        self._settling = threading.Lock()

    def settle(self, release: Release, views: LiveViews) -> None:
        """Copy what a release's live tables read besides landing tables, unless it is there.

        Raises:
            CatalogError: its snapshot has expired, or the catalog is away.
        """
        if release.id in self._instance().settled:
            return
        with self._settling:
            held = self._instance()
            if release.id in held.settled:
                return
            try:
                with held.duck.cursor() as cursor:
                    self._settle(cursor, release, views)
            except duckdb.Error as error:
                raise _translated(error, f"release {release.id}") from error
            held.settled.add(release.id)

    def follow(self, views: LiveViews, commit: int) -> dict[Place, int]:
        """Bring the landing tables that live views read to a commit.

        Returns:
            The snapshot at which each was last another.

        Raises:
            CatalogError: the commit has expired, or the catalog is away.
        """
        held = self._instance()
        places = list(views.landing)
        try:
            with self._catalog.connect(autocommit=True) as connection:
                ids = table_ids(connection, places, commit)
                behind = [tail.at for place in places if (tail := held.tails.get(place))]
                since = min(behind, default=commit)
                news = _Commit(commit, ids, changes_between(connection, since, commit))
            for place in places:
                _follow(held, place, views.landing[place], news)
        except duckdb.Error as error:
            raise _translated(error, f"commit {commit}") from error
        return {place: held.tails[place].changed_at for place in places}

    def through(self, views: LiveViews, commit: int) -> list[int | None]:
        """Return when each stream's last change was committed at its source, microseconds.

        Raises:
            CatalogError: the commit has expired, or the catalog is away.
        """
        held = self._instance()
        query = " union all ".join(
            f"select max(epoch_us(source_committed_at)) from {LAKE}.{quoted(schema)}._position "  # noqa: S608 - quoted
            f"at (version => {int(commit)})"
            for schema in views.streams
        )
        try:
            return [row[0] for row in held.duck.execute(query).fetchall()]
        except duckdb.Error as error:
            raise _translated(error, f"commit {commit}") from error

    def evaluate(self, query: str, rows_per_batch: int) -> pa.RecordBatchReader:
        """Evaluate a live view over the copies.

        Raises:
            duckdb.Error: it cannot be evaluated.
        """
        return self._instance().duck.execute(query).to_arrow_reader(rows_per_batch)

    def keep_only(self, releases: dict[int, LiveViews]) -> None:
        """Free what these releases' live tables do not read; rows that all have settled, too.

        Raises:
            CatalogError: DuckDB failed; all is read anew then.
        """
        held = self._held
        if held is None:
            return
        gone = held.settled - releases.keys()
        try:
            for release_id in gone:
                held.duck.execute(f"detach {settled_database(release_id)}")
                held.settled.discard(release_id)
            for place, tail in list(held.tails.items()):
                wanted = [v.landing[place] for v in releases.values() if place in v.landing]
                bounds = [above for above in wanted if above is not None]
                if not wanted:
                    _drop(held.duck, place)
                    del held.tails[place]
                elif tail.is_copy and tail.above is not None and len(bounds) == len(wanted):
                    _trim(held.duck, place, tail, min(bounds))
            if gone:  # DuckLake keeps each version of the lake's schema that it has read
                self._attach_anew(held)
        except (duckdb.Error, CatalogError) as error:
            self.close()
            raise _translated(error, "what is no longer needed") from error

    def attach_anew(self) -> None:
        """Attach the lake once more: what DuckLake knew of it may no longer be true.

        An attached lake remembers in which tables of the catalog a table's inlined rows are; after
        a flush of a table whose columns changed one of them is gone. If DuckDB itself has failed,
        everything is read anew.
        """
        try:
            if self._held:
                self._attach_anew(self._held)
        except (duckdb.Error, CatalogError):
            self.close()

    def close(self) -> None:
        """Free everything; what is asked for next is read anew."""
        with self._connecting:
            if self._held:
                self._held.duck.close()
            self._held = None

    def _instance(self) -> _Held:
        with self._connecting:
            if self._held is None:
                duck = connect_duckdb(self._storage, threads=2)
                spilled = str(self._folder).replace("'", "''")
                try:
                    duck.execute(
                        f"set memory_limit = '{MEMORY_LIMIT}'; set temp_directory = '{spilled}'; "
                        "set arrow_output_version = '1.4'; set produce_arrow_string_view = true; "
                        f"attach ':memory:' as {TAILS}"
                    )
                    attach_lake(duck, self._catalog, self._storage, read_only=True)
                except BaseException:
                    duck.close()
                    raise
                self._held = _Held(duck)
            return self._held

    def _attach_anew(self, held: _Held) -> None:
        with self._settling:
            held.duck.execute(f"detach {LAKE}")
            attach_lake(held.duck, self._catalog, self._storage, read_only=True)

    def _settle(self, duck: duckdb.DuckDBPyConnection, release: Release, views: LiveViews) -> None:
        database, places = settled_database(release.id), sorted(views.settled)
        with self._catalog.connect(autocommit=True) as connection:
            sizes = data_bytes(connection, places, release.snapshot_id)
        duck.execute(f"attach ':memory:' as {database}")
        try:
            left = HELD_BYTES
            for schema, table in sorted(places, key=lambda place: sizes.get(place, 0)):
                left -= sizes.get((schema, table), 0)
                kind = "table" if left >= 0 else "view"
                place = f"{quoted(schema)}.{quoted(table)}"
                duck.execute(f"create schema if not exists {database}.{quoted(schema)}")
                duck.execute(
                    f"create {kind} {database}.{place} as "
                    f"from {LAKE}.{place} at (version => {int(release.snapshot_id)})"
                )
        except duckdb.Error:
            duck.execute(f"detach {database}")
            raise


def _follow(held: _Held, place: Place, above: int | None, commit: _Commit) -> None:
    """Bring the copy of one landing table to a commit."""
    tail, number, changes = held.tails.get(place), commit.ids.get(place), commit.changes
    if number is None:
        raise CatalogError(f"There is no table {'.'.join(place)} at snapshot {commit.at}.")
    is_known = (
        tail is not None
        and tail.table_id == number
        and changes.is_known
        and number not in changes.rewritten
        and (tail.above is None or (above is not None and tail.above <= above))
    )
    if tail is None or not is_known:
        held.tails[place] = _read(held.duck, place, above, number, commit.at)
    elif tail.at >= commit.at:
        return
    elif not tail.is_copy:
        # Made anew each time: the snapshot of an old one expires.
        changed_at = commit.at if number in changes.appended else tail.changed_at
        made = _read(held.duck, place, above, number, commit.at)
        held.tails[place] = replace(made, changed_at=changed_at)
    elif number in changes.appended:
        held.duck.execute(
            f"insert into {_copy(place)} from {_source(place, commit.at)} "
            f"where {SEQUENCE} > {tail.last}"
        )
        tail.last = _last(held.duck, place, tail.last)
        tail.at = tail.changed_at = commit.at
    else:
        tail.at = commit.at


def _trim(duck: duckdb.DuckDBPyConnection, place: Place, tail: _Tail, above: int) -> None:
    """Free the rows up to a sequence."""
    if tail.above is None or above <= tail.above:
        return
    tail.above = above
    copy = _copy(place)
    duck.execute(f"create or replace table {copy} as from {copy} where {SEQUENCE} > {above}")


def _read(
    duck: duckdb.DuckDBPyConnection, place: Place, above: int | None, table_id: int, commit: int
) -> _Tail:
    """Copy a landing table, or make a view of it."""
    source, last = _source(place, commit), -1
    is_copy = above is not None
    if is_copy:
        source += f" where {SEQUENCE} > {above}"
        rows = duck.execute(f"select count(*) from {source}").fetchall()[0][0]  # noqa: S608 - quoted
        is_copy = rows <= HELD_ROWS
    _drop(duck, place)
    duck.execute(f"create schema if not exists {TAILS}.{quoted(place[0])}")
    duck.execute(f"create {'table' if is_copy else 'view'} {_copy(place)} as from {source}")
    if is_copy:
        last = _last(duck, place, above or -1)
    return _Tail(table_id, commit, above, last, commit, is_copy)


def _drop(duck: duckdb.DuckDBPyConnection, place: Place) -> None:
    for (kind,) in duck.execute(
        "select table_type from information_schema.tables where table_catalog = ? "
        "and table_schema = ? and table_name = ?",
        [TAILS, *place],
    ).fetchall():
        duck.execute(f"drop {'view' if kind == 'VIEW' else 'table'} {_copy(place)}")


def _last(duck: duckdb.DuckDBPyConnection, place: Place, least: int) -> int:
    query = f"select max({SEQUENCE}) from {_copy(place)}"  # noqa: S608 - quoted
    return max(duck.execute(query).fetchall()[0][0] or least, least)


def _copy(place: Place) -> str:
    return f"{TAILS}.{quoted(place[0])}.{quoted(place[1])}"


def _source(place: Place, commit: int) -> str:
    return f"{LAKE}.{quoted(place[0])}.{quoted(place[1])} at (version => {int(commit)})"


def _translated(error: Exception, what: str) -> CatalogError:
    return CatalogError(f"Live tables cannot be read at {what}: {str(error).splitlines()[0]}")
