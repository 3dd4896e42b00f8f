"""Durations as people write them: ``30m``, ``26h``, ``2d``, ``8w``."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_PATTERN = r"\s*(\d{1,5})\s*(m|min|h|d|w)\s*"
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> dt.timedelta:
    """Return the duration that a text says; up to five digits and a unit.

    Raises:
        ValueError: it says none.
    """
    found = re.fullmatch(_PATTERN, text, re.ASCII)
    if not found:
        msg = "must be a duration such as 30m, 26h or 2d"
        raise ValueError(msg)
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def format_duration(duration: dt.timedelta) -> str:
    """Return a duration in the largest unit that divides it: ``26h``, ``2d``."""
    minutes = round(duration.total_seconds() / 60)
    for unit, size in (("d", 24 * 60), ("h", 60)):
        if minutes and minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


def _parsed(value: Any) -> Any:
    return parse_duration(value if isinstance(value, str) else "")


_Text = Annotated[str, Field(pattern=f"^{_PATTERN}$", examples=["30m", "26h", "2d"])]

Duration = Annotated[dt.timedelta, BeforeValidator(_parsed, json_schema_input_type=_Text)]
"""A field that takes such a text."""
