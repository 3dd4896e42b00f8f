"""JSON text of a few values: what Arrow's kernels cost to call is more than what Python takes.

The text is the same as that of :mod:`query_service.formats.text`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pyarrow as pa

from query_service.formats.values import SAFE_INTEGER

FEW = 64
"""Rows up to which this is quicker (measured)."""

_encode_text = json.JSONEncoder(ensure_ascii=False).encode


def few_fragments(column: pa.Array) -> list[str] | None:
    """Return each value's JSON text, or None for a column that Arrow must turn to text."""
    maker = _maker(column.type)
    if maker is None:
        return None
    try:
        return ["null" if value is None else maker(value) for value in column.to_pylist()]
    except (OverflowError, ValueError):  # a date that Python does not know
        return None


@lru_cache(256)
def _maker(kind: pa.DataType) -> Callable[[Any], str] | None:
    if pa.types.is_integer(kind):
        return _integer
    if pa.types.is_string(kind) or pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return _encode_text
    if pa.types.is_decimal(kind):
        return _decimal
    if pa.types.is_date32(kind):
        return _date
    if pa.types.is_boolean(kind):
        return _boolean
    return None


def _integer(value: int) -> str:
    return str(value) if -SAFE_INTEGER <= value <= SAFE_INTEGER else f'"{value}"'


def _decimal(value: Any) -> str:
    return f'"{value:f}"'


def _date(value: Any) -> str:
    return f'"{value.isoformat()}"'


def _boolean(value: bool) -> str:
    return "true" if value else "false"
