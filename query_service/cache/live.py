"""Live tables: views of a release that also read what streams have landed since.

They are evaluated anew after each commit of a stream that brought rows of theirs: the landing
tables as they are at that commit, everything else at the release's own snapshot. So what a batch
run writes meanwhile, half finished or not, is never seen before it is released.

Crash: files appear whole or not at all, and the folder is emptied at the start. A snapshot that
expires between two looks is an error of that look; the next one reads a newer one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import psycopg

from lavra.errors import CatalogError, CatalogUnavailable
from query_service.cache.live_rows import LiveRows
from query_service.cache.live_views import LiveViews, find_live_views, last_commit
from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import segment_rows, servable_schema, write_segment
from query_service.cache.table_loader import ROWS_PER_BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from query_service.releases import Release

__all__ = ["LiveReader", "LiveViews"]


class LiveReader:
    """Evaluates live tables.

    One thread at a time uses it, but for :meth:`find` and :meth:`settle`, which another may call
    meanwhile.

    Args:
        catalog: Of the lake.
        storage: Its files.
        folder: Where the rows are kept; emptied.
    """

    def __init__(self, catalog: Catalog, storage: LakeStorage, folder: Path) -> None:
        self._catalog, self._folder = catalog, folder
        shutil.rmtree(folder, ignore_errors=True)
        self._rows = LiveRows(catalog, storage, folder / "spilled")
        self._looking: psycopg.Connection | None = None

    def find(self, release: Release) -> LiveViews:
        """Return which tables of a release are live."""
        with self._catalog.connect() as connection:
            return find_live_views(connection, release)

    def settle(self, release: Release, views: LiveViews) -> None:
        """Copy what live tables read besides landing tables; this may take seconds.

        Raises:
            CatalogError: its snapshot has expired, or the catalog is away.
        """
        self._rows.settle(release, views)

    def last_commit(self, views: LiveViews, after: int) -> int | None:
        """Return the newest commit of the streams after a snapshot, if there is one.

        Raises:
            CatalogError: the catalog is away.
        """
        with self._asking() as connection:
            return last_commit(connection, views, after)

    def load(
        self,
        release: Release,
        views: LiveViews,
        commit: int,
        settled: Sequence[CachedTable],
        before: tuple[int, Sequence[CachedTable]] | None = None,
    ) -> tuple[Path, list[CachedTable], dt.datetime | None]:
        """Return a manifest of the release with its live tables as of a commit.

        Args:
            release: Which.
            views: Its live tables.
            commit: Snapshot of the lake.
            settled: The release's tables as they were loaded.
            before: An earlier commit, and the tables as of that.

        Returns:
            The manifest's path, the tables, and when the streams' last change was committed at
            its source.

        Raises:
            CatalogError: a snapshot has expired, or a view cannot be evaluated.
        """
        try:
            return self._load(release, views, commit, settled, before)
        except CatalogError:
            self._rows.attach_anew()
        try:
            return self._load(release, views, commit, settled, before)
        except CatalogError:
            self._rows.close()
            raise

    def _load(
        self,
        release: Release,
        views: LiveViews,
        commit: int,
        settled: Sequence[CachedTable],
        before: tuple[int, Sequence[CachedTable]] | None,
    ) -> tuple[Path, list[CachedTable], dt.datetime | None]:
        snapshot = f"{release.id}.{commit}"
        folder = self._folder / snapshot
        self._rows.settle(release, views)
        changed_at = self._rows.follow(views, commit)
        through = self._rows.through(views, commit)
        earlier, known = (before[0], {t.name: t for t in before[1]}) if before else (-1, {})
        tables = []
        for table in settled:
            found = table
            if table.name in views.queries:
                is_changed = any(changed_at[place] > earlier for place in views.reads[table.name])
                if table.name not in known or is_changed:
                    path = folder / f"{table.name}.seg"
                    found = self._evaluate(table, views.queries[table.name], path)
                else:
                    found = known[table.name]
                found = replace(found, facts=replace(table.facts, snapshot=snapshot))
            tables.append(found)
        path = folder / "release.json"
        write_release_file(path, tables)
        return path, tables, _earliest(through)

    def keep_only(self, files: set[Path], releases: dict[int, LiveViews]) -> None:
        """Delete all but these files, and what is held for other than these releases.

        Raises:
            CatalogError: DuckDB failed; what is needed is read anew.
        """
        for folder in self._folder.glob("*.*"):
            kept = [path for path in folder.glob("*") if path in files]
            for path in folder.glob("*"):
                if path not in files:
                    path.unlink(missing_ok=True)
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)
        self._rows.keep_only(releases)

    def close(self) -> None:
        """Free the copies and the connections."""
        if self._looking:
            self._looking.close()
        self._looking = None
        self._rows.close()

    def _evaluate(self, table: CachedTable, query: str, path: Path) -> CachedTable:
        try:
            rows = self._rows.evaluate(query, ROWS_PER_BATCH)
            schema = servable_schema(rows.schema)
            write_segment(path, schema, rows)
        except duckdb.Error as error:
            raise CatalogError(
                f"{table.name} cannot be evaluated: {str(error).splitlines()[0]}"
            ) from error
        return replace(
            table, schema=schema, segments=(str(path),), bytes=path.stat().st_size,
            row_count=segment_rows(path),
        )  # fmt: skip

    @contextlib.contextmanager
    def _asking(self) -> Iterator[psycopg.Connection]:
        """Give the connection that is kept for looks; it is made anew after an error."""
        try:
            if self._looking is None:
                self._looking = psycopg.connect(self._catalog.to_libpq(), autocommit=True)
            yield self._looking
        except psycopg.Error as error:
            if self._looking:
                self._looking.close()
            self._looking = None
            raise CatalogUnavailable(f"The catalog is away: {error}".splitlines()[0]) from error


def _earliest(microseconds: list[int | None]) -> dt.datetime | None:
    known = [time for time in microseconds if time is not None]
    if not known or len(known) < len(microseconds):
        return None
    return dt.datetime.fromtimestamp(min(known) / 1_000_000, dt.UTC)
