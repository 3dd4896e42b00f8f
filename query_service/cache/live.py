"""Live tables: views of a release that also read what streams have landed since.

A release's views are kept as DuckLake keeps them: SQL that names tables and other views. Those that
reach a landing table are evaluated anew after each commit of a stream: the landing tables as they
are at that commit, everything else at the release's own snapshot. So what a batch run writes
meanwhile, half finished or not, is never seen before it is released.

Crash: files appear whole or not at all, and the folder is emptied at the start. A snapshot that
expires between two looks is an error of that look; the next one reads a newer one.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import duckdb
from psycopg import sql

from lavra.catalog.catalog import DUCKLAKE_SCHEMA
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.errors import CatalogError
from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import segment_rows, servable_schema, write_segment
from query_service.cache.table_loader import ROWS_PER_BATCH
from query_service.releases import table_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import psycopg

    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from query_service.releases import Release

LANDING = "landing_"
SETTLED, LIVE = "settled", "live"
"""Names under which the lake is attached: at the release's snapshot, and at the live commit."""

_NAME = r'("(?:[^"]|"")+"|\w+)'
_REFERENCE = re.compile(rf"\{{DUCKLAKE_CATALOG\}}\.{_NAME}\.{_NAME}")
_LAKE = sql.Identifier(DUCKLAKE_SCHEMA)


@dataclass(frozen=True)
class LiveViews:
    """The live tables of a release.

    Attributes:
        queries: DuckDB SQL over the two attached lakes, by "schema.table".
        streams: Schemas of the streams that they read.
        positions: Ids of these streams' tables of positions, which each commit writes.
    """

    queries: dict[str, str]
    streams: tuple[str, ...]
    positions: tuple[int, ...]


def find_live_views(connection: psycopg.Connection, release: Release) -> LiveViews:
    """Return which tables of a release are live; none, as a rule."""
    rows = connection.execute(
        sql.SQL(
            "select s.schema_name, v.view_name, v.sql from {0}.ducklake_view v "
            "join {0}.ducklake_schema s using (schema_id) "
            "where v.begin_snapshot <= %(at)s and coalesce(v.end_snapshot > %(at)s, true) "
            "and s.begin_snapshot <= %(at)s and coalesce(s.end_snapshot > %(at)s, true)"
        ).format(_LAKE),
        {"at": release.snapshot_id},
    ).fetchall()
    views = {(schema, name): text for schema, name, text in rows}
    streams: set[str] = set()
    queries = {}
    for table in release.tables:
        text = views.get((table.physical_schema, table.physical_table))
        if text is None:
            continue
        found: set[str] = set()
        query = _expanded(text, views, found)
        if found:
            queries[table_name(table)] = query
            streams |= found
    positions = connection.execute(
        sql.SQL(
            "select t.table_id from {0}.ducklake_table t join {0}.ducklake_schema s "
            "using (schema_id) where s.schema_name = any(%s) and t.table_name = '_position' "
            "and t.end_snapshot is null and s.end_snapshot is null"
        ).format(_LAKE),
        (sorted(streams),),
    ).fetchall()
    return LiveViews(queries, tuple(sorted(streams)), tuple(row[0] for row in positions))


def last_commit(connection: psycopg.Connection, views: LiveViews, after: int) -> int | None:
    """Return the newest snapshot after one in which any of the streams committed a batch."""
    if not views.positions:
        return None
    wanted = "|".join(map(str, views.positions))
    row = connection.execute(
        sql.SQL(
            "select max(snapshot_id) from {}.ducklake_snapshot_changes where snapshot_id > %s "
            "and changes_made ~ %s"
        ).format(_LAKE),
        (after, f"(^|,)(inlined_insert|inserted_into_table):({wanted})(,|$)"),
    ).fetchone()
    return int(row[0]) if row and row[0] is not None else None


class LiveReader:
    """Evaluates live tables. One thread at a time uses it.

    Args:
        catalog: Of the lake.
        storage: Its files.
        folder: Where the rows are kept; emptied.
    """

    def __init__(self, catalog: Catalog, storage: LakeStorage, folder: Path) -> None:
        self._catalog, self._storage, self._folder = catalog, storage, folder
        shutil.rmtree(folder, ignore_errors=True)

    def find(self, release: Release) -> LiveViews:
        """Return which tables of a release are live."""
        with self._catalog.connect() as connection:
            return find_live_views(connection, release)

    def last_commit(self, views: LiveViews, after: int) -> int | None:
        """Return the newest commit of the streams after a snapshot, if there is one.

        Raises:
            CatalogError: the catalog is away.
        """
        with self._catalog.connect(autocommit=True) as connection:
            return last_commit(connection, views, after)

    def load(
        self, release: Release, views: LiveViews, commit: int, settled: Sequence[CachedTable]
    ) -> tuple[Path, list[CachedTable], dt.datetime | None]:
        """Return a manifest of the release with its live tables as of a commit.

        Args:
            release: Which.
            views: Its live tables.
            commit: Snapshot of the lake.
            settled: The release's tables as they were loaded.

        Returns:
            The manifest's path, the tables, and when the streams' last change was committed at
            its source.

        Raises:
            CatalogError: a snapshot has expired, or a view cannot be evaluated.
        """
        folder = self._folder / f"{release.id}.{commit}"
        duck = connect_duckdb(self._storage, threads=2)
        try:
            duck.execute("SET arrow_output_version = '1.4'; SET produce_arrow_string_view = true")
            for alias, snapshot in ((SETTLED, release.snapshot_id), (LIVE, commit)):
                attach_lake(
                    duck, self._catalog, self._storage,
                    alias=alias, read_only=True, snapshot_version=snapshot,
                )  # fmt: skip
            through = self._through(duck, views)
            tables = [
                self._evaluate(duck, table, views, folder, f"{release.id}.{commit}")
                if table.name in views.queries
                else table
                for table in settled
            ]
        except duckdb.Error as error:
            raise CatalogError(
                f"The live tables of release {release.id} cannot be read at {commit}: "
                f"{str(error).splitlines()[0]}"
            ) from error
        finally:
            duck.close()
        path = folder / "release.json"
        write_release_file(path, tables)
        return path, tables, through

    def keep_only(self, paths: set[Path]) -> None:
        """Delete all but these manifests and the rows beside them."""
        kept = {path.parent for path in paths}
        for folder in self._folder.glob("*"):
            if folder not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _evaluate(
        duck: duckdb.DuckDBPyConnection,
        table: CachedTable,
        views: LiveViews,
        folder: Path,
        snapshot: str,
    ) -> CachedTable:
        path = folder / f"{table.name}.seg"
        rows = duck.execute(views.queries[table.name]).to_arrow_reader(ROWS_PER_BATCH)
        schema = servable_schema(rows.schema)
        write_segment(path, schema, rows)
        return replace(
            table, schema=schema, segments=(str(path),), bytes=path.stat().st_size,
            row_count=segment_rows(path), facts=replace(table.facts, snapshot=snapshot),
        )  # fmt: skip

    @staticmethod
    def _through(duck: duckdb.DuckDBPyConnection, views: LiveViews) -> dt.datetime | None:
        times = []
        for schema in views.streams:
            text = f'select max(epoch_us(source_committed_at)) from {LIVE}."{schema}"._position'  # noqa: S608 - a schema of the lake's own
            times.append(duck.execute(text).fetchall()[0][0])
        if not times or None in times:
            return None
        return dt.datetime.fromtimestamp(min(times) / 1_000_000, dt.UTC)


def _expanded(text: str, views: dict[tuple[str, str], str], streams: set[str]) -> str:
    """Return a view's SQL with views in place, and each table in the lake it is read from."""

    def put(match: re.Match[str]) -> str:
        schema, name = (_unquoted(part) for part in match.groups())
        if (schema, name) in views:
            return f"({_expanded(views[schema, name], views, streams)})"
        if schema.startswith(LANDING):
            streams.add(schema)
            return f"{LIVE}.{match[1]}.{match[2]}"
        return f"{SETTLED}.{match[1]}.{match[2]}"

    return _REFERENCE.sub(put, text)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
