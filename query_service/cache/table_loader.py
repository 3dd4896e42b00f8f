"""Loads one table of a release into segments.

A table at a snapshot is a list of immutable data files, each with at most one file of deleted
positions. One segment holds the rows of one such pair. A file whose rows all hold and whose columns
are the table's (:meth:`query_service.cache.cold.Footers.fits`) is read by its path, which needs
nothing of the lake's catalog; any other through DuckDB's ducklake extension (``where filename =
...`` reads that file alone), so deletes, defaults of added columns and widened types are DuckDB's
business. A segment's name is a hash of all that its rows depend on; two releases that share a file
share the segment. A new file that holds the rows of a segment that is there is not written again:
its name becomes a link to that one (:mod:`query_service.cache.content`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lavra.ducklake import LAKE
from query_service.cache.content import digest_of, digest_of_arrow
from query_service.cache.order import RUN_ROWS, in_order, order_column
from query_service.cache.release_file import CachedTable
from query_service.cache.segments import (
    as_held,
    is_segment,
    linked,
    segment_rows,
    servable_schema,
    write_segment,
)

if TYPE_CHECKING:
    from query_service.cache.cold import Footers
    from query_service.cache.lake_files import DataFile, TableFiles
    from query_service.cache.lake_reader import LakeAt
    from query_service.releases import ReleaseTable

ROWS_PER_BATCH = 32_768
"""Rows of one Arrow batch in a segment."""

FORMAT = 2
"""Part of every segment's name: raise it when the way rows are held changes."""

_GLOB = re.compile(r"[*?\[]")
"""What DuckDB takes for more than one path."""

_PARQUET = "read_parquet(?, hive_partitioning = false)"


@dataclass
class LoadReport:
    """What a load did.

    Attributes:
        tables: How many it holds.
        segments_written: Read and written.
        segments_reused: There already.
        segments_recognized: Of new files that hold what a segment held before.
        bytes_read: Of the lake's files.
        cached: The tables.
        sources: Names of the contents of all files that they were made of.
    """

    tables: int = 0
    segments_written: int = 0
    segments_reused: int = 0
    segments_recognized: int = 0
    bytes_read: int = 0
    cached: list[CachedTable] = field(default_factory=list)
    sources: frozenset[str] = frozenset()


class TableLoader:
    """Loads one table.

    Args:
        lake: The lake at the release's snapshot.
        footers: Schemas of Parquet files read before.
        table: What the release says of the table.
        files: Its files at the snapshot.
        folder: Where segments are kept.
        report: Counts what is done.
        held: Tables that are there, whose rows may come again.
    """

    def __init__(
        self,
        lake: LakeAt,
        footers: Footers,
        table: ReleaseTable,
        files: TableFiles,
        *,
        folder: Path,
        report: LoadReport,
        held: Sequence[CachedTable] = (),
    ) -> None:
        self._held = held
        self._lake = lake
        self._footers = footers
        self._table = table
        self._files = files
        self._folder = folder
        self._report = report
        self._source = ".".join(
            _quoted(part) for part in (LAKE, table.physical_schema, table.physical_table)
        )
        self._schema = self._read_schema()
        self._order = order_column(table, self._schema)
        self._used: set[Path] | None = None
        self._column_ids = [column[0] for column in files.columns if column[4] is None]

    def load(self) -> CachedTable:
        """Hold all of the table in segments."""
        if self._files.whole_key is not None:
            paths = [self._segment(self._files.whole_key, None)]
        else:
            paths = [self._segment(file.key, file) for file in self._files.data_files]
        return CachedTable(
            schema_name=self._table.schema_name,
            table_name=self._table.table_name,
            schema=self._schema,
            segments=tuple(str(path) for path in paths),
            bytes=sum(path.stat().st_size for path in paths),
            row_count=sum(segment_rows(path) for path in paths),
        )

    def scan(self) -> CachedTable:
        """Name the files that can be scanned as they are; the others become segments."""
        whole: list[DataFile] = []
        if self._files.whole_key is None:
            whole = [file for file in self._files.data_files if self._stands_for_itself(file)]
        if not whole:
            return self.load()
        scanned = {file.path for file in whole}
        rest = [file for file in self._files.data_files if file.path not in scanned]
        paths = [self._segment(file.key, file) for file in rest]
        return CachedTable(
            schema_name=self._table.schema_name,
            table_name=self._table.table_name,
            schema=self._schema,
            segments=tuple(str(path) for path in paths),
            bytes=sum(path.stat().st_size for path in paths) + sum(file.bytes for file in whole),
            row_count=sum(map(segment_rows, paths)) + sum(file.row_count for file in whole),
            scanned=self._footers.grouped([file.path for file in whole]),
        )

    def _stands_for_itself(self, file: DataFile) -> bool:
        """Whether a file's rows and columns are those of the table, and nothing else's."""
        return file.is_whole and self._footers.fits(file.path, self._schema, self._column_ids)

    def _read_schema(self) -> pa.Schema:
        key = json.dumps(self._files.columns)
        known = self._lake.schemas.get(key)
        if known is None:
            empty = self._lake.attached().execute(f"select * from {self._source} limit 0")  # noqa: S608 - quoted
            known = servable_schema(empty.to_arrow_reader().schema)
            self._lake.schemas[key] = known
        return known

    def _path(self, key: list[Any]) -> Path:
        identity = json.dumps(
            [FORMAT, ROWS_PER_BATCH, self._files.columns, str(self._schema), self._order, key]
        )
        digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
        return self._folder / "segments" / digest[:2] / f"{digest}.seg"

    def _segment(self, key: list[Any], file: DataFile | None) -> Path:
        path = self._path(key)
        if is_segment(path):
            self._report.segments_reused += 1
            return linked(path)
        self._report.bytes_read += self._files.bytes if file is None else file.bytes
        batches = None
        if file is not None and self._held:
            batches, known = self._recognize(file)
            if known:
                _link(path, known)
                self._report.segments_recognized += 1
                return known
        ordered = in_order(batches or self._rows(file), self._order, ROWS_PER_BATCH)
        write_segment(path, self._schema, ordered)
        self._report.segments_written += 1
        return path

    def _recognize(self, file: DataFile) -> tuple[Iterator[pa.RecordBatch] | None, Path | None]:
        """Return a file's rows, if it was small enough to hold them, and the segment of the same.

        A larger file is read once to compare and, if it has other rows, once more to write.
        """
        contents = self._lake.contents
        if self._used is None:
            used = [self._path(file.key) for file in self._files.data_files]
            self._used = {linked(path) for path in used}
        candidates = contents.candidates(self._held, self._schema, file.row_count, self._used)
        if not candidates or not self._stands_for_itself(file):
            return None, None
        duck = self._lake.duck
        if file.row_count > RUN_ROWS:
            if not self._is_plain(file):
                return None, None
            digest = digest_of(duck, self._schema, _PARQUET, [file.path])
            known = contents.same(duck, self._schema, digest, candidates)
            if known is None:
                self._report.bytes_read += file.bytes
            return None, known
        rows = pa.Table.from_batches(
            [as_held(batch, self._schema) for batch in self._rows(file)], self._schema
        )
        digest = digest_of_arrow(duck, self._schema, rows)
        return iter(rows.to_batches()), contents.same(duck, self._schema, digest, candidates)

    def _is_plain(self, file: DataFile) -> bool:
        return not _GLOB.search(file.path) and self._stands_for_itself(file)

    def _rows(self, file: DataFile | None) -> Iterator[pa.RecordBatch]:
        query = f"select * from {self._source}"  # noqa: S608 - identifiers are quoted
        if file is None:
            result = self._lake.attached().execute(query)
        elif self._is_plain(file):
            columns = ", ".join(_quoted(name) for name in self._schema.names)
            query = f"select {columns} from {_PARQUET}"  # noqa: S608 - quoted
            result = self._lake.duck.execute(query, [file.path])
        else:
            result = self._lake.attached().execute(f"{query} where filename = ?", [file.path])
        yield from result.to_arrow_reader(ROWS_PER_BATCH)


def _link(path: Path, known: Path) -> None:
    """Let a segment's name stand for another segment, at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(known, path.parent))
    temporary.replace(path)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
