"""The least and greatest value of each batch, for the columns where that is cheap and exact.

Kept are whole numbers, decimals, dates, and timestamps up to microseconds. Not floats: whether NaN
or -0.0 passes a comparison is the engine's business. Not texts: Arrow has no kernel for views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class BatchStatistics:
    """What is known of some batches.

    Attributes:
        batches: How many they are.
        columns: By column, the least and the greatest value of each batch, of the column's own
            type; both null where a batch has no value.
    """

    batches: int
    columns: dict[str, tuple[pa.Array, pa.Array]]

    @staticmethod
    def decode(data: bytes) -> BatchStatistics:
        """Return what :meth:`StatisticsCollector.encode` wrote."""
        with pa.ipc.open_stream(data) as stream:
            table = stream.read_all()
        columns = {}
        for position in range(0, table.num_columns, 2):
            name = table.schema.field(position).name
            least, greatest = table.column(position), table.column(position + 1)
            columns[name] = least.combine_chunks(), greatest.combine_chunks()
        rows = (table.schema.metadata or {}).get(b"batches", b"0")
        return BatchStatistics(int(rows), columns)

    @staticmethod
    def concat(parts: Sequence[BatchStatistics]) -> BatchStatistics:
        """Return the statistics of all parts' batches, in order, of the columns that all have."""
        names = set.intersection(*(set(part.columns) for part in parts)) if parts else set()
        columns = {
            name: (
                pa.concat_arrays([part.columns[name][0] for part in parts]),
                pa.concat_arrays([part.columns[name][1] for part in parts]),
            )
            for name in names
            if len({part.columns[name][0].type for part in parts}) == 1
        }
        return BatchStatistics(sum(part.batches for part in parts), columns)


class StatisticsCollector:
    """Collects statistics while a segment is written."""

    def __init__(self, schema: pa.Schema) -> None:
        names = schema.names
        self._fields = [
            (position, field)
            for position, field in enumerate(schema)
            if has_statistics(field.type) and names.count(field.name) == 1
        ]
        self._found: list[list[pa.StructScalar]] = [[] for _ in self._fields]
        self._batches = 0

    def add(self, columns: Sequence[pa.Array]) -> None:
        """Note a batch; its columns are the schema's."""
        self._batches += 1
        for (position, _), found in zip(self._fields, self._found, strict=True):
            found.append(pc.min_max(columns[position]))

    def encode(self) -> bytes:
        """Return all that was noted, for :meth:`BatchStatistics.decode`."""
        fields, arrays = [], []
        for (_, field), found in zip(self._fields, self._found, strict=True):
            for end in ("min", "max"):
                fields.append(pa.field(field.name, field.type))
                arrays.append(pa.array([each[end] for each in found], field.type))
        schema = pa.schema(fields, {b"batches": str(self._batches).encode()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as stream:
            if arrays:
                stream.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        return bytes(sink.getvalue())


def has_statistics(kind: pa.DataType) -> bool:
    """Whether a column of this type has statistics."""
    if pa.types.is_timestamp(kind):
        return bool(kind.unit != "ns")
    return bool(pa.types.is_integer(kind) or pa.types.is_date(kind) or pa.types.is_decimal128(kind))
