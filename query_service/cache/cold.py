"""Tables too large for memory: which they are, and which of their files can be scanned in place.

A file of a cold table is scanned by DataFusion where it lies, with pruning by its statistics, if
all of its rows hold at the snapshot and its columns are the table's: the same names with the same
DuckLake ids (a rename keeps the id, a file keeps the old name) and types. Any other file is held
as a segment, so the answer is exact whatever the file went through.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from lavra.errors import StorageError
from query_service.cache.segments import servable_schema

if TYPE_CHECKING:
    from lavra.storage import LakeStorage

_FIELD_ID = b"PARQUET:field_id"

MOST_FOOTERS = 10_000
"""Footers that are kept; the service runs for weeks, and every file is new once."""

GROWTH = 3.0
"""Bytes of a segment to bytes of its Parquet, until a load of this release has shown its own."""


@dataclass(frozen=True)
class ColdRule:
    """Which tables are not held in memory.

    Attributes:
        patterns: Of ``schema.table``, with ``*``; these are always cold.
        budget_bytes: What all held tables together may take; 0 sets no limit.
    """

    patterns: tuple[str, ...] = ()
    budget_bytes: int = 0

    def begin(self) -> Budget:
        """Return a budget for one release."""
        return Budget(self)


@dataclass
class Budget:
    """The memory of one release, given to tables from the smallest to the largest."""

    rule: ColdRule
    _held_bytes: int = 0
    _parquet_bytes: int = 0
    _full: bool = field(default=False)

    def is_cold(self, name: str, parquet_bytes: int) -> bool:
        """Whether a table is scanned in place; once one does not fit, no larger one does."""
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.rule.patterns):
            return True
        if not self.rule.budget_bytes:
            return False
        growth = self._held_bytes / self._parquet_bytes if self._parquet_bytes else GROWTH
        self._full = self._full or (
            self._held_bytes + parquet_bytes * max(growth, 1.0) > self.rule.budget_bytes
        )
        return self._full

    def loaded(self, parquet_bytes: int, held_bytes: int) -> None:
        """Count a table that is held."""
        self._parquet_bytes += parquet_bytes
        self._held_bytes += held_bytes


class Footers:
    """Schemas of Parquet files, each read once: the files never change."""

    def __init__(self, storage: LakeStorage) -> None:
        self._storage = storage
        self._schemas: dict[str, pa.Schema] = {}

    def fits(self, path: str, schema: pa.Schema, column_ids: list[int]) -> bool:
        """Whether a file's columns are exactly these, so that it can be scanned as it is.

        Args:
            path: As DuckLake shows it.
            schema: The table's, as it is served.
            column_ids: DuckLake's ids of its columns, in order.

        Raises:
            StorageError: the file cannot be read.
        """
        physical = self._read(path)
        held = dict(zip(physical.names, servable_schema(physical).types, strict=True))
        for wanted, column_id in zip(schema, column_ids, strict=True):
            at = physical.get_field_index(wanted.name)
            if at < 0 or held[wanted.name] != wanted.type:
                return False
            metadata = physical.field(at).metadata or {}
            if metadata.get(_FIELD_ID, b"").decode() != str(column_id):
                return False
        return True

    def grouped(self, paths: list[str]) -> tuple[tuple[str, ...], ...]:
        """Return files as the URLs that DataFusion takes, those of the same columns together.

        A file may hold more than the table does: columns that were dropped since.
        """
        groups: dict[str, list[str]] = {}
        for path in paths:
            columns = str(self._read(path).remove_metadata())
            plain = path.removeprefix(f"{self._storage.scheme}://")
            groups.setdefault(columns, []).append(f"{self._storage.scheme}://{quote(plain)}")
        return tuple(map(tuple, groups.values()))

    def _read(self, path: str) -> pa.Schema:
        if path not in self._schemas:
            if len(self._schemas) >= MOST_FOOTERS:
                self._schemas.clear()  # most are of files that no release names any more
            plain = path.removeprefix(f"{self._storage.scheme}://")
            try:
                self._schemas[path] = pq.read_schema(plain, filesystem=self._storage.to_pyarrow())
            except (OSError, pa.ArrowException) as error:
                raise StorageError(f"Cannot read {path}: {error}") from error
        return self._schemas[path]
