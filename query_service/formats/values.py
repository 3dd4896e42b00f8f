"""JSON forms of single Python values, for the columns that Arrow cannot turn to text itself."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

SAFE_INTEGER = 2**53 - 1
"""Integers beyond this are JSON strings: readers that hold numbers as doubles would round them."""


def json_value(value: Any) -> Any:  # noqa: PLR0911 - one per kind of value
    """Return the documented JSON form of a value as pyarrow gives it (docs/service.md)."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= SAFE_INTEGER else str(value)
        case float():
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case Decimal():
            return format(value, "f")
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {str(key): json_value(item) for key, item in value.items()}
        case list() | tuple():
            if hasattr(value, "months"):
                return iso_interval(value)
            return [json_value(item) for item in value]
        case _:
            return _temporal(value)


def dump(value: Any) -> str:
    """Return a value's JSON text."""
    return json.dumps(json_value(value), ensure_ascii=False, separators=(",", ":"))


def iso_interval(value: Any) -> str:
    """Return an interval (months, days, nanoseconds) as an ISO 8601 duration."""
    months, days, nanoseconds = value
    date = (f"{months}M" if months else "") + (f"{days}D" if days else "")
    return f"P{date}{_time_part(nanoseconds)}" if date or nanoseconds else "PT0S"


def iso_duration(value: dt.timedelta) -> str:
    """Return a duration as ISO 8601, in seconds alone."""
    microseconds = (value.days * 86_400 + value.seconds) * 10**6 + value.microseconds
    return f"P{_time_part(microseconds * 1000)}" if microseconds else "PT0S"


def _time_part(nanoseconds: int) -> str:
    if not nanoseconds:
        return ""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"T{'-' if nanoseconds < 0 else ''}{seconds}{fraction}S"


def _temporal(value: Any) -> Any:
    if isinstance(value, dt.timedelta):
        return iso_duration(value)
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
