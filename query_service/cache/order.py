"""The order of a table's rows in memory, chosen so that a filter on time leaves batches out.

Rows are put in order in runs of :data:`RUN_ROWS`, as they are read, so a load's memory does not
grow with the table; a month of a table in no order is then in a few batches of every run. Rows
that are in order already, as those of a daily model are, cost one comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from query_service.releases import ReleaseTable

RUN_ROWS = 64 * 32_768
"""Rows that are put in order together: at most so many are held by a load."""


def order_column(table: ReleaseTable, schema: pa.Schema) -> str | None:
    """Return the column that a table's rows are ordered by, None if no column is a time.

    It is the model's time column; else the first date or timestamp of its grain; else its first
    date or timestamp.
    """
    times: list[str] = [field.name for field in schema if _is_time(field.type)]
    for name in (table.time_column, *table.grain, *times):
        if name is not None and name in times and schema.names.count(name) == 1:
            return name
    return None


def in_order(
    batches: Iterator[pa.RecordBatch], column: str | None, rows_per_batch: int
) -> Iterator[pa.RecordBatch]:
    """Yield the same rows, in runs ordered by a column, nulls last; equal ones keep their order."""
    if column is None:
        yield from batches
        return
    run: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        run.append(batch)
        rows += batch.num_rows
        if rows >= RUN_ROWS:
            yield from _ordered(run, column, rows_per_batch)
            run, rows = [], 0
    yield from _ordered(run, column, rows_per_batch)


def _ordered(
    run: list[pa.RecordBatch], column: str, rows_per_batch: int
) -> Iterator[pa.RecordBatch]:
    if not run:
        return
    keys = pa.chunked_array([batch.column(column) for batch in run]).combine_chunks()
    if _is_ordered(keys):
        yield from run
        return
    schema = run[0].schema
    order = pc.array_sort_indices(keys, order="ascending", null_placement="at_end")
    columns = []
    for position, field in enumerate(schema):
        parts = [batch.column(position) for batch in run]
        for batch_number, part in enumerate(parts):
            parts[batch_number] = _movable(part)
        columns.append((pa.concat_arrays(parts), field.type))
    run.clear()  # a second copy is made below, a batch at a time
    for start in range(0, len(order), rows_per_batch):
        taken = order.slice(start, rows_per_batch)
        arrays = [
            moved if (moved := values.take(taken)).type == kind else moved.cast(kind)
            for values, kind in columns
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _is_ordered(keys: pa.Array) -> bool:
    if len(keys) < 2:
        return True
    if keys.null_count:
        return bool(keys.null_count == len(keys))
    return bool(pc.all(pc.less_equal(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py())


def _movable(array: pa.Array) -> pa.Array:
    """Return an array of a type that Arrow can take values from: no kernel takes views."""
    if isinstance(array, pa.ExtensionArray):
        return array
    if array.type == pa.string_view():
        return array.cast(pa.large_string())
    return array.cast(pa.large_binary()) if array.type == pa.binary_view() else array


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))
