"""Loads a release into segments: what changed is read, the rest is there already.

How a table is read says :mod:`query_service.cache.table_loader`. A table that is cold is not
loaded: its whole files are named in the manifest, for the engines to scan
(:mod:`query_service.cache.cold`); only files with deleted rows or older columns become segments.

Crash: segments appear whole or not at all, and the release's file is written last. A segment that
something else has cut short is written again. Disk full: an error; what was complete stays, and
the next try goes on from there. Concurrent loads of one folder write the same bytes under the same
names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from lavra.errors import CatalogError, StorageError
from query_service.cache.cold import ColdRule, Footers
from query_service.cache.lake_files import TableFiles, list_table_files
from query_service.cache.lake_reader import LakeReader
from query_service.cache.release_file import CachedTable, TableFacts, write_release_file
from query_service.cache.table_loader import LoadReport, TableLoader
from query_service.releases import table_name

__all__ = ["LoadReport", "load_release", "release_file"]

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from query_service.releases import Release, ReleaseTable


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
    held: Sequence[CachedTable] = (),
    files: dict[str, TableFiles] | None = None,
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
        held: The tables of other releases in this folder, whose rows may come again.
        files: Of the release's tables, if the caller has listed them.

    Raises:
        CatalogError: the snapshot has expired, or a table is not in it.
        StorageError: a data file cannot be read, or a segment cannot be written.
    """
    report = LoadReport()
    if release.tables:
        if files is None:
            with catalog.connect() as connection:
                files = list_table_files(connection, release)
        report.sources = frozenset[str]().union(*(table.sources for table in files.values()))
        lake = LakeReader(catalog, storage) if reader is None else reader
        with lake.at(release.snapshot_id) as at:
            budget = (cold or ColdRule()).begin()
            known = Footers(storage) if footers is None else footers
            loaded: dict[str, CachedTable] = {}
            # The smallest first: they are the last that a budget should leave out.
            for table in sorted(release.tables, key=lambda t: files[table_name(t)].bytes):
                try:
                    loader = TableLoader(
                        at,
                        known,
                        table,
                        files[table_name(table)],
                        folder=folder,
                        report=report,
                        held=held,
                    )
                    if budget.is_cold(table_name(table), files[table_name(table)].bytes):
                        found = loader.scan()
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


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
