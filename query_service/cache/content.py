"""Whether a new data file holds the rows of a segment that is there, in whatever order.

A model that is replaced whole (SQLMesh's FULL) writes new files at every run, mostly with the rows
of the last one. Rows are compared by their number and the sum of their hashes, since DuckDB's
threads write them in another order each time. Two different contents are taken for the same with a
probability of about 2^-64; nobody but who writes Gold could look for such a pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from query_service.cache.segments import open_segment, segment_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from query_service.cache.release_file import CachedTable

Digest = tuple[int, ...]

MOST_DIGESTS = 10_000
"""Digests of segments that are kept; a segment never changes."""


class Contents:
    """The segments that are there, found by the rows they hold; kept between loads."""

    def __init__(self) -> None:
        self._digests: dict[Path, Digest] = {}

    def candidates(
        self, held: Iterable[CachedTable], schema: pa.Schema, rows: int, used: set[Path]
    ) -> list[Path]:
        """Return the segments of so many rows and these columns, besides those in use."""
        if not rows or not all(_is_comparable(kind) for kind in schema.types):
            return []
        found = []
        for table in held:
            if table.schema == schema:
                paths = dict.fromkeys(map(Path, table.segments))
                found += [p for p in paths if p not in used and p not in found and _has(p, rows)]
        return found

    def same(
        self,
        duck: duckdb.DuckDBPyConnection,
        schema: pa.Schema,
        digest: Digest,
        candidates: list[Path],
    ) -> Path | None:
        """Return the candidate whose rows have this digest."""
        if len(self._digests) > MOST_DIGESTS:
            self._digests.clear()
        for path in candidates:
            if path not in self._digests:
                try:
                    segment = open_segment(path)
                except (OSError, ValueError):
                    continue
                rows = pa.RecordBatchReader.from_batches(segment.schema, segment.batches)
                self._digests[path] = digest_of_arrow(duck, schema, rows)
            if self._digests[path] == digest:
                return path
        return None


def digest_of_arrow(
    duck: duckdb.DuckDBPyConnection, schema: pa.Schema, rows: pa.RecordBatchReader | pa.Table
) -> Digest:
    """Return the digest of rows in Arrow."""
    duck.register("lavra_rows", rows)
    try:
        return digest_of(duck, schema, "lavra_rows", [])
    finally:
        duck.unregister("lavra_rows")


def digest_of(
    duck: duckdb.DuckDBPyConnection, schema: pa.Schema, source: str, parameters: list[str]
) -> Digest:
    """Return the digest of the rows of a table expression."""
    values = []
    for field in schema:
        name = '"' + field.name.replace('"', '""') + '"'
        values.append(name)
        if pa.types.is_floating(field.type):
            values.append(f"signbit({name})")  # the hash of -0.0 is that of 0.0
    listed = ", ".join(values)
    row = duck.execute(
        f"select count(*), sum(hash({listed})::hugeint), "  # noqa: S608 - names are quoted
        f"sum(hash('lavra', {listed})::hugeint) from {source}",
        parameters,
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate is one row
    return tuple(int(value or 0) for value in row)


def _has(path: Path, rows: int) -> bool:
    try:
        return segment_rows(path) == rows
    except (OSError, ValueError):
        return False


def _is_comparable(kind: pa.DataType) -> bool:
    """Whether equal hashes mean equal values: not so of intervals, and of floats inside lists."""
    return bool(
        not pa.types.is_nested(kind)
        and not pa.types.is_interval(kind)
        and not pa.types.is_duration(kind)
    )
