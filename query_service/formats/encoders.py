"""One encoder per format of the contract."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Protocol, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from query_service.formats.plain_types import plain_batch, plain_schema
from query_service.formats.text import csv_rows, csv_value, json_rows

MEDIA_TYPES = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
ENCODINGS = tuple(MEDIA_TYPES)

TEXT_ROWS = 8192
"""Rows of text made at a time, so that a wide batch never becomes one huge string."""

PARQUET_GROUP_BYTES = 32 * 1024 * 1024
"""A row group is written once its rows are about this large, and so held in memory."""


Piece: TypeAlias = bytes | pa.Buffer
"""Bytes of an answer: of their own, or those of an array, which are not copied."""


class Encoder(Protocol):
    """Turns batches of one schema into bytes."""

    def begin(self) -> bytes:
        """Return what comes before the rows."""
        ...

    def encode(self, batch: pa.RecordBatch) -> Iterable[Piece]:
        """Return the bytes of some rows."""
        ...

    def end(self, row_count: int, *, truncated: bool) -> bytes:
        """Return what comes after the rows."""
        ...


def encoder_for(encoding: str, schema: pa.Schema, *, string_views: bool = False) -> Encoder:
    """Return an encoder of ``encoding`` (one of :data:`ENCODINGS`) for rows of ``schema``."""
    match encoding:
        case "json":
            return JsonEncoder(schema)
        case "ndjson":
            return NdjsonEncoder(schema)
        case "csv":
            return CsvEncoder(schema)
        case "arrow":
            return ArrowEncoder(schema, string_views=string_views)
        case "parquet":
            return ParquetEncoder(schema)
        case _:
            raise ValueError(f"there is no encoder {encoding!r}")


class JsonEncoder:
    """The middle of the JSON answer: from ``"columns"`` to ``"truncated"``, without the braces.

    The front puts the query's id before it and the snapshot after it, which differ from one
    answer to the next while these bytes can be kept.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._first = True

    def begin(self) -> bytes:
        """Return the columns and the opening of the rows."""
        return _json_opening(self._schema)

    def encode(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Return rows as arrays."""
        for piece in _pieces(batch):
            text = json_rows(piece, separator=",")
            yield text if self._first else b"," + text
            self._first = False

    def end(self, row_count: int, *, truncated: bool) -> bytes:
        """Return the closing of the rows and their count."""
        return f'],"row_count":{row_count},"truncated":{json.dumps(truncated)}'.encode()


class NdjsonEncoder:
    """One JSON object per row and line; column names that occur twice get a number."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = unique_names(schema.names)

    def begin(self) -> bytes:
        """Return nothing: the lines stand alone."""
        return b""

    def encode(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Return rows as objects."""
        for piece in _pieces(batch):
            yield json_rows(piece, separator="\n", names=self._names) + b"\n"

    def end(self, row_count: int, *, truncated: bool) -> bytes:  # noqa: ARG002
        """Return nothing."""
        return b""


class CsvEncoder:
    """RFC 4180 with a header line; a null is empty, an empty string is ``""``."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = schema.names

    def begin(self) -> bytes:
        """Return the header line."""
        return (",".join(csv_value(name) for name in self._names) + "\r\n").encode()

    def encode(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Return rows as lines."""
        for piece in _pieces(batch):
            yield csv_rows(piece)

    def end(self, row_count: int, *, truncated: bool) -> bytes:  # noqa: ARG002
        """Return nothing."""
        return b""


class ArrowEncoder:
    """An Arrow IPC stream.

    The stream's end marker is the only sign of a complete answer. It is preceded by a batch of
    no rows whose metadata say ``lavra.row_count`` and ``lavra.truncated``.
    """

    def __init__(self, schema: pa.Schema, *, string_views: bool) -> None:
        self._plain = not string_views
        self._schema = plain_schema(schema) if self._plain else schema
        self._sink = _Sink()

    def begin(self) -> bytes:
        """Return the schema message."""
        self._writer = pa.ipc.new_stream(self._sink, self._schema)
        return self._sink.take()

    def encode(self, batch: pa.RecordBatch) -> list[Piece]:
        """Return a batch message; most of it is the batch's own memory."""
        self._writer.write_batch(plain_batch(batch, self._schema) if self._plain else batch)
        return self._sink.take_pieces()

    def end(self, row_count: int, *, truncated: bool) -> bytes:
        """Return the closing batch and the end marker."""
        self._writer.write_batch(
            pa.RecordBatch.from_pylist([], schema=self._schema),
            custom_metadata={
                "lavra.row_count": str(row_count),
                "lavra.truncated": json.dumps(truncated),
            },
        )
        self._writer.close()
        return self._sink.take()


class ParquetEncoder:
    """A Parquet file, written row group by row group; intervals are text (Parquet has none)."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = plain_schema(schema, for_parquet=True)
        self._sink = _Sink()
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_bytes = 0

    def begin(self) -> bytes:
        """Return the file's magic."""
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression="zstd")
        return self._sink.take()

    def encode(self, batch: pa.RecordBatch) -> Iterator[bytes]:
        """Return a row group once enough rows have come."""
        batch = plain_batch(batch, self._schema)
        self._waiting.append(batch)
        self._waiting_bytes += batch.nbytes
        if self._waiting_bytes >= PARQUET_GROUP_BYTES:
            yield self._flush()

    def end(self, row_count: int, *, truncated: bool) -> bytes:
        """Return the last row group and the footer."""
        rest = self._flush() if self._waiting else b""
        self._writer.add_key_value_metadata(
            {"lavra.row_count": str(row_count), "lavra.truncated": json.dumps(truncated)}
        )
        self._writer.close()
        return rest + self._sink.take()

    def _flush(self) -> bytes:
        self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._waiting_bytes = [], 0
        return self._sink.take()


class _Sink(io.RawIOBase):
    """A file that only grows, and whose written bytes are taken away as they come."""

    def __init__(self) -> None:
        self._parts: list[Piece] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: object) -> int:
        # Arrow hands over whole buffers where it can, and they do not change any more.
        part = data if isinstance(data, bytes | pa.Buffer) else bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        return b"".join(self.take_pieces())

    def take_pieces(self) -> list[Piece]:
        """Return the same as :meth:`take`, piece by piece."""
        taken, self._parts = self._parts, []
        return taken


def column_list(schema: pa.Schema) -> list[dict[str, str]]:
    """Return ``[{"name", "type"}]`` as the JSON answer shows it; strings are just "string"."""
    return [
        {"name": field.name, "type": str(plain.type)}
        for field, plain in zip(schema, plain_schema(schema), strict=True)
    ]


@lru_cache(256)
def _json_opening(schema: pa.Schema) -> bytes:
    columns = json.dumps(column_list(schema), ensure_ascii=False, separators=(",", ":"))
    return f'"columns":{columns},"rows":['.encode()


def unique_names(names: list[str]) -> list[str]:
    """Return the names, those that repeat with ``_2``, ``_3`` and so on."""
    taken: set[str] = set()
    result = []
    for name in names:
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f"{name}_{count}"
        taken.add(unique)
        result.append(unique)
    return result


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, TEXT_ROWS):
        yield batch.slice(start, TEXT_ROWS)
