"""Loads a release into segments: what changed is read, the rest is there already.

A table at a snapshot is a list of immutable data files, each with at most one file of deleted
positions. One segment holds the rows of one such pair, read through DuckDB's ducklake extension
(``where filename = ...`` reads that file alone), so deletes, defaults of added columns and
widened types are DuckDB's business. A segment's name is a hash of all that its rows depend on;
two releases that share a file share the segment.

A table that is cold is not loaded: its whole files are named in the manifest, for the engines to
scan (:mod:`query_service.cache.cold`); only files with deleted rows or older columns become
segments.

Crash: segments appear whole or not at all, and the release's file is written last. A segment that
something else has cut short is written again. Disk full: an error; what was complete stays, and
the next try goes on from there. Concurrent loads of one folder write the same bytes under the same
names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from lavra.ducklake import LAKE
from lavra.errors import CatalogError, StorageError
from query_service.cache.cold import ColdRule, Footers
from query_service.cache.lake_files import DataFile, TableFiles, list_table_files
from query_service.cache.lake_reader import LakeReader
from query_service.cache.release_file import CachedTable, TableFacts, write_release_file
from query_service.cache.segments import is_segment, segment_rows, servable_schema, write_segment
from query_service.releases import table_name

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from query_service.releases import Release, ReleaseTable

ROWS_PER_BATCH = 32_768
"""Rows of one Arrow batch in a segment: also what a load holds in memory at a time."""

FORMAT = 1
"""Part of every segment's name: raise it when the way rows are held changes."""


@dataclass
class LoadReport:
    """What a load did: tables, segments written and reused, bytes of the lake's files read."""

    tables: int = 0
    segments_written: int = 0
    segments_reused: int = 0
    bytes_read: int = 0
    cached: list[CachedTable] = field(default_factory=list)


def release_file(folder: Path, release: Release) -> Path:
    """Return where a release's manifest is."""
    return folder / "releases" / f"{release.id}.json"


def load_release(
    catalog: Catalog,
    storage: LakeStorage,
    release: Release,
    folder: Path,
    *,
    cold: ColdRule | None = None,
    footers: Footers | None = None,
    reader: LakeReader | None = None,
) -> LoadReport:
    """Make the segments of a release and its manifest, in ``folder``.

    Args:
        catalog: Where the release and its files are listed.
        storage: The lake's files.
        release: What to load.
        folder: Where segments and manifests are kept.
        cold: Which tables are scanned where they lie; none, when not given.
        footers: Schemas of Parquet files read before, kept by the caller between loads.
        reader: DuckDB, kept by the caller between loads.

    Raises:
        CatalogError: the snapshot has expired, or a table is not in it.
        StorageError: a data file cannot be read, or a segment cannot be written.
    """
    report = LoadReport()
    if release.tables:
        with catalog.connect() as connection:
            files = list_table_files(connection, release)
        lake = LakeReader(catalog, storage) if reader is None else reader
        with lake.at(release.snapshot_id) as duck:
            budget = (cold or ColdRule()).begin()
            known = Footers(storage) if footers is None else footers
            loaded: dict[str, CachedTable] = {}
            # The smallest first: they are the last that a budget should leave out.
            for table in sorted(release.tables, key=lambda t: files[table_name(t)].bytes):
                try:
                    loader = _TableLoader(duck, table, files[table_name(table)], folder, report)
                    if budget.is_cold(table_name(table), files[table_name(table)].bytes):
                        found = loader.scan(known)
                    else:
                        found = loader.load()
                        budget.loaded(files[table_name(table)].bytes, found.bytes)
                    loaded[found.name] = replace(found, facts=_facts(release, table))
                except duckdb.IOException as error:
                    raise StorageError(
                        f"Cannot read {table_name(table)}: {_first_line(error)}"
                    ) from error
                except duckdb.Error as error:
                    raise CatalogError(
                        f"Cannot load {table_name(table)} at snapshot {release.snapshot_id}: "
                        f"{_first_line(error)}"
                    ) from error
                except OSError as error:
                    raise StorageError(
                        f"Cannot write {table_name(table)} to the cache: "
                        f"{error.strerror or error}.",
                        remedy=f"Make room on the disk of {folder}, or have large tables scanned "
                        "where they lie (LAVRA_SERVICE_CACHE_MB, LAVRA_SERVICE_COLD_TABLES).",
                    ) from error
                report.tables += 1
            report.cached += [loaded[table_name(table)] for table in release.tables]
        if reader is None:
            lake.close()
    write_release_file(release_file(folder, release), report.cached)
    return report


def _facts(release: Release, table: ReleaseTable) -> TableFacts:
    return TableFacts(
        snapshot=str(release.id),
        released_at=release.created_at,
        data_through=table.data_through,
        audits_passed=sum(bool(audit["passed"]) for audit in table.audits),
        failed_audits=tuple(audit["name"] for audit in table.audits if not audit["passed"]),
    )


class _TableLoader:
    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        table: ReleaseTable,
        files: TableFiles,
        folder: Path,
        report: LoadReport,
    ) -> None:
        self._duck = duck
        self._table = table
        self._files = files
        self._folder = folder
        self._report = report
        self._source = ".".join(
            '"' + part.replace('"', '""') + '"'
            for part in (LAKE, table.physical_schema, table.physical_table)
        )

    def load(self) -> CachedTable:
        schema = self._schema()
        if self._files.whole_key is not None:
            paths = [self._segment(schema, self._files.whole_key, None)]
        else:
            paths = [self._segment(schema, file.key, file) for file in self._files.data_files]
        return CachedTable(
            schema_name=self._table.schema_name,
            table_name=self._table.table_name,
            schema=schema,
            segments=tuple(str(path) for path in paths),
            bytes=sum(path.stat().st_size for path in paths),
            row_count=sum(segment_rows(path) for path in paths),
        )

    def scan(self, footers: Footers) -> CachedTable:
        """Name the files that can be scanned as they are; the others become segments."""
        schema = self._schema()
        ids = [column[0] for column in self._files.columns if column[4] is None]
        whole: list[DataFile] = []
        if self._files.whole_key is None:
            whole = [
                file
                for file in self._files.data_files
                if file.is_whole and footers.fits(file.path, schema, ids)
            ]
        if not whole:
            return self.load()
        scanned = {file.path for file in whole}
        rest = [file for file in self._files.data_files if file.path not in scanned]
        paths = [self._segment(schema, file.key, file) for file in rest]
        return CachedTable(
            schema_name=self._table.schema_name,
            table_name=self._table.table_name,
            schema=schema,
            segments=tuple(str(path) for path in paths),
            bytes=sum(path.stat().st_size for path in paths) + sum(file.bytes for file in whole),
            row_count=sum(map(segment_rows, paths)) + sum(file.row_count for file in whole),
            scanned=footers.grouped([file.path for file in whole]),
        )

    def _schema(self) -> pa.Schema:
        empty = self._duck.execute(f"select * from {self._source} limit 0")  # noqa: S608 - quoted
        return servable_schema(empty.to_arrow_reader().schema)

    def _segment(self, schema: pa.Schema, key: list[Any], file: DataFile | None) -> Path:
        identity = json.dumps([FORMAT, ROWS_PER_BATCH, self._files.columns, str(schema), key])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
        path = self._folder / "segments" / digest[:2] / f"{digest}.seg"
        if is_segment(path):
            self._report.segments_reused += 1
            return path
        write_segment(path, schema, self._rows(file))
        self._report.segments_written += 1
        self._report.bytes_read += self._files.bytes if file is None else file.bytes
        return path

    def _rows(self, file: DataFile | None) -> Iterator[pa.RecordBatch]:
        query = f"select * from {self._source}"  # noqa: S608 - identifiers are quoted
        if file is None:
            result = self._duck.execute(query)
        else:
            result = self._duck.execute(f"{query} where filename = ?", [file.path])
        yield from result.to_arrow_reader(ROWS_PER_BATCH)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
