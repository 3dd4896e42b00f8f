"""Rows as text, column by column with Arrow's kernels: one join makes the rows of a batch.

Every column becomes an array of JSON (or CSV) fragments; joining them element by element gives
one string per row, and the strings' buffer is the answer's text already.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from query_service.formats.few_rows import FEW, few_fragments
from query_service.formats.values import SAFE_INTEGER, dump

_NEEDS_ESCAPE = r'["\\\x00-\x1f]'
_NEEDS_QUOTES = '[",\r\n]'


def json_rows(batch: pa.RecordBatch, *, separator: str, names: list[str] | None = None) -> bytes:
    """Return rows as JSON arrays, or as objects if ``names`` are given, with no separator last."""
    opening, closing = ("[", "]") if names is None else ("{", "}")
    if 0 < batch.num_rows <= FEW and batch.num_columns:
        columns = [_few_fragments(column) for column in batch.columns]
        if names is not None:
            keys = [json.dumps(name, ensure_ascii=False) + ":" for name in names]
            columns = [[k + f for f in c] for k, c in zip(keys, columns, strict=True)]
        rows = (opening + ",".join(row) + closing for row in zip(*columns, strict=True))
        return separator.join(rows).encode()
    parts: list[pa.Array | pa.Scalar] = []
    for position, column in enumerate(batch.columns):
        lead = "," if position else opening
        if names is not None:
            lead += json.dumps(names[position], ensure_ascii=False) + ":"
        parts += [pa.scalar(lead), json_fragments(column)]
    if not parts:
        return separator.join([opening + closing] * batch.num_rows).encode()
    parts.append(pa.scalar(closing + separator))
    text: bytes = _text(pc.binary_join_element_wise(*parts, ""))
    return text[: -len(separator)]


def csv_rows(batch: pa.RecordBatch) -> bytes:
    """Return rows as CSV lines, each with its line end."""
    parts: list[pa.Array | pa.Scalar] = []
    for position, column in enumerate(batch.columns):
        if position:
            parts.append(pa.scalar(","))
        parts.append(_csv_fragments(column))
    if not parts:
        return b"\r\n" * int(batch.num_rows)
    parts.append(pa.scalar("\r\n"))
    return _text(pc.binary_join_element_wise(*parts, ""))


def csv_value(text: str) -> str:
    """Return one text as a CSV field."""
    if text == "" or any(c in text for c in '",\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _few_fragments(column: pa.Array) -> list[str]:
    fragments = few_fragments(column)
    if fragments is None:
        fragments = json_fragments(column).to_pylist()
    return fragments


def json_fragments(column: pa.Array) -> pa.StringArray:
    """Return each value's JSON text; a null is ``null``."""
    fragments = _json_maker(column.type)(column)
    return pc.fill_null(fragments, "null") if fragments.null_count else fragments


def _json_maker(  # noqa: PLR0911 - one per kind of type
    kind: pa.DataType,
) -> Callable[[pa.Array], pa.Array]:
    if pa.types.is_integer(kind):
        return _wide_integers if kind.bit_width == 64 else _plain
    if pa.types.is_floating(kind):
        return _floats
    if pa.types.is_boolean(kind):
        return _plain
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _strings
    if pa.types.is_decimal(kind):
        return lambda column: _quoted(_decimals(column))
    if pa.types.is_date32(kind):
        return lambda column: _quoted(_plain(column))
    if pa.types.is_timestamp(kind):
        return lambda column: _quoted(_timestamps(column))
    if pa.types.is_time(kind):
        return lambda column: _quoted(_plain(column))
    if pa.types.is_null(kind):
        return _plain
    return _by_value


def _csv_fragments(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_decimal(kind):
        text = _decimals(column)
    elif pa.types.is_timestamp(kind):
        text = _timestamps(column)
    elif (
        pa.types.is_string(kind) or pa.types.is_string_view(kind) or pa.types.is_large_string(kind)
    ):
        text = _csv_strings(column.cast(pa.string()))
    elif pa.types.is_floating(kind):
        text = pc.replace_substring(_unquoted_floats(column), '"', "")
    elif (
        pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_date32(kind)
        or pa.types.is_time(kind)
        or pa.types.is_null(kind)
    ):
        text = _plain(column)
    else:
        text = _csv_strings(pa.array([_csv_nested(v) for v in column.to_pylist()], pa.string()))
    return pc.fill_null(text, "") if text.null_count else text


def _csv_nested(value: object) -> str | None:
    if value is None:
        return None
    text = dump(value)
    return json.loads(text) if text.startswith('"') else text


def _csv_strings(text: pa.Array) -> pa.Array:
    needs = pc.or_(pc.match_substring_regex(text, _NEEDS_QUOTES), pc.equal(text, ""))
    if not pc.any(needs).as_py():
        return text
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', "")
    return pc.if_else(needs, quoted, text)


def _plain(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _quoted(text: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', text, '"', "")


def _wide_integers(column: pa.Array) -> pa.Array:
    text = column.cast(pa.string())
    extremes = pc.min_max(column)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    if low is None or (low >= -SAFE_INTEGER and high <= SAFE_INTEGER):
        return text
    beyond = pc.greater(column, pa.scalar(SAFE_INTEGER, column.type))
    if low < 0:
        beyond = pc.or_(beyond, pc.less(column, pa.scalar(-SAFE_INTEGER, column.type)))
    return pc.if_else(beyond, _quoted(text), text)


def _floats(column: pa.Array) -> pa.Array:
    return _unquoted_floats(column)


def _unquoted_floats(column: pa.Array) -> pa.Array:
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    text = column.cast(pa.string())
    below_zero = pc.equal(text, "-0")
    if pc.any(below_zero).as_py():
        text = pc.if_else(below_zero, "-0.0", text)  # many readers take -0 for the integer 0
    finite = pc.is_finite(column)
    if pc.all(finite).as_py() is not False:
        return text
    odd = pc.if_else(
        pc.is_nan(column),
        '"NaN"',
        pc.if_else(pc.greater(column, 0), '"Infinity"', '"-Infinity"'),
    )
    return pc.if_else(finite, text, odd)


def _decimals(column: pa.Array) -> pa.Array:
    text = column.cast(pa.string())
    # Arrow writes very small and very large decimals with an exponent.
    if pc.any(pc.match_substring(text, "E")).as_py():
        return pa.array(
            [None if v is None else format(v, "f") for v in column.to_pylist()], pa.string()
        )
    return text


def _timestamps(column: pa.Array) -> pa.Array:
    if column.type.tz not in (None, "UTC"):
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    return pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)


def _strings(column: pa.Array) -> pa.Array:
    text = column.cast(pa.string())
    if pc.any(pc.match_substring_regex(text, _NEEDS_ESCAPE)).as_py():
        return pa.array(
            [None if v is None else json.dumps(v, ensure_ascii=False) for v in text.to_pylist()],
            pa.string(),
        )
    return _quoted(text)


def _by_value(column: pa.Array) -> pa.Array:
    return pa.array([None if v is None else dump(v) for v in column.to_pylist()], pa.string())


def _text(rows: pa.StringArray) -> bytes:
    offsets = pa.Array.from_buffers(
        pa.int32(), len(rows) + 1, [None, rows.buffers()[1]], offset=rows.offset
    )
    start, stop = offsets[0].as_py(), offsets[len(rows)].as_py()
    data = rows.buffers()[2]
    return b"" if data is None else bytes(data.slice(start, stop - start))
