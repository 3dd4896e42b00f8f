"""Takes many rows of the replication stream apart at once: wire format to columns of text.

A row is a count of values (2 bytes) and, for each value, ``n`` (null), ``u`` (unchanged, not
sent), or ``t``, a length (4 bytes) and that many bytes of text. Numpy walks one column of all rows
in each step, so the work per row is the machine's and not the interpreter's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lavra.errors import SourceError
from lavra.streams.postgres.pgoutput import UNCHANGED, Value

_BLOCK = 16_384
"""Rows taken apart at a time: bounds the memory of what is only needed meanwhile."""

_LONG = 64
"""Mean bytes of a value from which slices are joined instead of single bytes gathered."""

_TEXT, _UNCHANGED = ord("t"), ord("u")
_Numbers = npt.NDArray[np.int64]


def split_columns(
    messages: Sequence[bytes], starts: Sequence[int], count: int
) -> tuple[list[pa.Array], list[tuple[int, int]]]:
    """Return the columns of rows as binary arrays, and the places of unchanged values.

    Args:
        messages: Each holds one row.
        starts: Where in each message its row starts.
        count: Number of columns.

    Returns:
        ``count`` arrays of ``len(messages)`` values, unchanged ones being null; and
        (row, column) of each unchanged value, in order of rows.

    Raises:
        SourceError: a row has another number of values.
    """
    blocks: list[list[pa.Array]] = []
    unchanged: list[tuple[int, int]] = []
    for first in range(0, len(messages), _BLOCK):
        block = messages[first : first + _BLOCK]
        arrays, places = _split_block(block, starts[first : first + _BLOCK], count)
        blocks.append(arrays)
        unchanged += [(first + row, column) for row, column in places]
    if not blocks:
        return [pa.array([], pa.binary()) for _ in range(count)], []
    return [pa.concat_arrays(parts) for parts in zip(*blocks, strict=True)], sorted(unchanged)


def _split_block(
    messages: Sequence[bytes], starts: Sequence[int], count: int
) -> tuple[list[pa.Array], list[tuple[int, int]]]:
    wire = b"".join(messages) + b"\0\0\0\0\0"  # so that a length can be read after the last kind
    octets = np.frombuffer(wire, np.uint8)
    sizes = np.fromiter(map(len, messages), np.int64, len(messages))
    at: _Numbers = np.cumsum(sizes) - sizes + np.asarray(starts, np.int64)
    if np.any(octets[at].astype(np.int64) * 256 + octets[at + 1] != count):
        raise SourceError("A row of the replication stream does not have its table's columns.")
    at = at + 2
    arrays: list[pa.Array] = []
    unchanged: list[tuple[int, int]] = []
    for column in range(count):
        kinds = octets[at]
        is_text = kinds == _TEXT
        lengths = np.zeros(len(at), np.int64)
        for place in range(1, 5):
            lengths = lengths * 256 + octets[at + place]
        lengths[~is_text] = 0
        arrays.append(_gathered(wire, octets, at + 5, lengths, is_text))
        if _UNCHANGED in kinds:
            rows = np.flatnonzero(kinds == _UNCHANGED)
            unchanged += [(int(row), column) for row in rows]
        at = at + np.where(is_text, lengths + 5, 1)
    return arrays, unchanged


def _gathered(
    wire: bytes,
    octets: npt.NDArray[np.uint8],
    starts: _Numbers,
    lengths: _Numbers,
    is_valid: npt.NDArray[np.bool_],
) -> pa.Array:
    """Return the values that stand at ``starts`` as an array."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    total = int(offsets[-1])
    if total > _LONG * len(starts):
        ends = starts + lengths
        pieces = zip(starts.tolist(), ends.tolist(), strict=True)
        data: object = b"".join([wire[start:end] for start, end in pieces])
    else:
        data = octets[np.repeat(starts - offsets[:-1], lengths) + np.arange(total)]
    validity = None
    if not is_valid.all():
        validity = pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    return pa.Array.from_buffers(
        pa.binary(), len(starts),
        [validity, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)],
    )  # fmt: skip


def encode_row(values: Sequence[Value]) -> bytes:
    """Return a row as it stands on the wire, for one that did not come as it is to land."""
    parts = [len(values).to_bytes(2, "big")]
    for value in values:
        if value is None:
            parts.append(b"n")
        elif isinstance(value, bytes):
            parts.append(b"t" + len(value).to_bytes(4, "big") + value)
        else:
            assert value is UNCHANGED  # noqa: S101 - there is nothing else
            parts.append(b"u")
    return b"".join(parts)
