"""Segment files: Arrow record batches whose buffers are used where they lie, by any process.

A segment is written once and mapped by every engine process. Arrow's own IPC file format aligns
buffers to 8 bytes, and DataFusion copies what it needs at 16 (decimals, string views), so a
segment lays every buffer at a multiple of 64 bytes and keeps a small manifest at its end::

    buffer | padding | buffer | padding | ... | manifest (JSON) | tail

The tail is the manifest's length, the number of rows, the file's size, and the magic. The manifest
holds the least and greatest value of each batch too (:mod:`query_service.cache.statistics`), by
which engines leave batches out.

A crash while writing leaves a temporary file only: a segment appears whole, by renaming.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from query_service.cache.statistics import BatchStatistics, StatisticsCollector

MAGIC = b"LAVRSEG4"
ALIGNMENT = 64
_TAIL = struct.Struct("<QQQ8s")


class Segment(NamedTuple):
    """A mapped segment: its columns, its batches in row order, and what is known of each."""

    schema: pa.Schema
    batches: list[pa.RecordBatch]
    statistics: BatchStatistics


def servable_type(kind: pa.DataType) -> pa.DataType:  # noqa: PLR0911 - one per kind of type
    """Return the type that a column of type ``kind`` is held in.

    Strings become string views (quicker than strings and dictionaries), dictionaries their
    values, extension types their storage. Everything else stays.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return servable_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return servable_type(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.string_view()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.binary_view()
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_nested_type(field.type)) for field in kind])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_nested_field(kind.value_field), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_nested_field(kind.value_field))
    if pa.types.is_map(kind):
        return pa.map_(_nested_type(kind.key_type), _nested_type(kind.item_type))
    return kind


def servable_schema(schema: pa.Schema) -> pa.Schema:
    """Return ``schema`` with every column's type as it is held, and without metadata."""
    return pa.schema([pa.field(f.name, servable_type(f.type), f.nullable) for f in schema])


def write_segment(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write a segment to ``path``, whole or not at all.

    Args:
        path: Where it appears; an existing file is replaced.
        schema: As :func:`servable_schema` returns it.
        batches: Of that schema, or of one that casts to it; taken one at a time.

    Returns:
        Its number of rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            rows = _write(stream, schema, batches)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def open_segment(path: Path) -> Segment:
    """Map a segment; the memory of its batches is the file's pages.

    The file may be unlinked while it is mapped.

    Raises:
        ValueError: it is not a segment, or it was cut short.
    """
    whole, manifest = _open(path)
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(manifest["schema"])))
    batches = [
        pa.RecordBatch.from_arrays(
            [
                _read_array(whole, node, field.type)
                for node, field in zip(batch, schema, strict=True)
            ],
            schema=schema,
        )
        for batch in manifest["batches"]
    ]
    statistics = BatchStatistics.decode(base64.b64decode(manifest["statistics"]))
    return Segment(schema, batches, statistics)


def as_held(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with its columns in the types they are held in."""
    arrays = [_as_held(column, f.type) for column, f in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def linked(path: Path) -> Path:
    """Return the segment that a path stands for: what it links to, else itself."""
    if not path.is_symlink():
        return path
    return Path(os.path.normpath(path.parent / path.readlink()))


def is_segment(path: Path) -> bool:
    """Whether there is a whole segment at ``path``.

    One that was cut short, or whose end was overwritten, is none. What lies before the end is
    not looked at: that would be to read it all.
    """
    try:
        segment_rows(path)
    except (OSError, ValueError):
        return False
    return True


def segment_rows(path: Path) -> int:
    """Return the number of rows of a segment; this reads a few bytes only.

    Raises:
        ValueError: it is not a segment, or it was cut short.
    """
    with path.open("rb", buffering=0) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _TAIL.size, 0))
        return _read_tail(path, stream.read(_TAIL.size), size)[1]


def _read_tail(path: Path, tail: bytes, size: int) -> tuple[int, int]:
    """Return the length of the manifest and the number of rows."""
    if len(tail) < _TAIL.size:
        raise ValueError(f"{path} is too short to be a segment")
    length, rows, written, magic = _TAIL.unpack(tail)
    if magic != MAGIC or written != size or length > size:
        raise ValueError(f"{path} is not a segment")
    return length, rows


def _open(path: Path) -> tuple[pa.Buffer, dict[str, Any]]:
    if path.stat().st_size < _TAIL.size:
        raise ValueError(f"{path} is too short to be a segment")
    with pa.memory_map(str(path)) as mapped:
        whole = mapped.read_buffer()
    end = whole.size - _TAIL.size
    length, _ = _read_tail(path, whole.slice(end).to_pybytes(), whole.size)
    manifest: dict[str, Any] = json.loads(whole.slice(end - length, length).to_pybytes())
    return whole, manifest


def _nested_type(kind: pa.DataType) -> pa.DataType:
    # Views inside lists and structs cannot be cast by every pyarrow kernel: keep plain strings.
    held = servable_type(kind)
    if held == pa.string_view():
        return pa.string()
    return pa.binary() if held == pa.binary_view() else held


def _nested_field(field: pa.Field) -> pa.Field:
    return field.with_type(_nested_type(field.type))


def _write(stream: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    rows = 0
    manifest = []
    statistics = StatisticsCollector(schema)
    for batch in batches:
        if not batch.num_rows:
            continue
        rows += batch.num_rows
        columns = as_held(batch, schema).columns
        statistics.add(columns)
        manifest.append([_write_array(stream, column) for column in columns])
    text = json.dumps(
        {
            "schema": base64.b64encode(schema.serialize().to_pybytes()).decode(),
            "batches": manifest,
            "statistics": base64.b64encode(statistics.encode()).decode(),
        },
        separators=(",", ":"),
    ).encode()
    stream.write(text)
    stream.write(_TAIL.pack(len(text), rows, stream.tell() + _TAIL.size, MAGIC))
    return rows


def _as_held(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if column.type == kind else column.cast(kind)


def _write_array(stream: BinaryIO, array: pa.Array) -> dict[str, Any]:
    if array.offset:
        array = pa.concat_arrays([array, array.slice(0, 0)])  # drop what the slice leaves out
    own, children = _own_buffers(array)
    return {
        "n": len(array),
        "nulls": array.null_count,
        "offset": array.offset,
        "buffers": [_write_buffer(stream, buffer) for buffer in own],
        "children": [_write_array(stream, child) for child in children],
    }


def _own_buffers(array: pa.Array) -> tuple[list[pa.Buffer | None], list[pa.Array]]:
    """Split an array into its own buffers and its child arrays."""
    kind = array.type
    if pa.types.is_struct(kind):
        return array.buffers()[:1], [array.field(i) for i in range(kind.num_fields)]
    if pa.types.is_map(kind):
        entries = pa.StructArray.from_arrays(
            [array.keys, array.items], fields=[kind.key_field, kind.item_field]
        )
        return array.buffers()[:2], [entries]
    if pa.types.is_fixed_size_list(kind):
        return array.buffers()[:1], [array.values]
    if pa.types.is_list(kind):
        return array.buffers()[:2], [array.values]
    return array.buffers(), []


def _write_buffer(stream: BinaryIO, buffer: pa.Buffer | None) -> list[int] | None:
    if buffer is None:
        return None
    at = stream.tell()
    padding = -at % ALIGNMENT
    stream.write(b"\0" * padding)
    stream.write(buffer)
    return [at + padding, buffer.size]


def _read_array(whole: pa.Buffer, node: dict[str, Any], kind: pa.DataType) -> pa.Array:
    buffers = [None if at is None else whole.slice(at[0], at[1]) for at in node["buffers"]]
    children = [
        _read_array(whole, child, child_kind)
        for child, child_kind in zip(node["children"], _child_types(kind), strict=True)
    ]
    return pa.Array.from_buffers(
        kind, node["n"], buffers, node["nulls"], node["offset"], children or None
    )


def _child_types(kind: pa.DataType) -> list[pa.DataType]:
    if pa.types.is_struct(kind):
        return [field.type for field in kind]
    if pa.types.is_map(kind):
        return [pa.struct([kind.key_field, kind.item_field])]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return [kind.value_type]
    return []
