"""Durations as YAML writes them: ``30m``, ``26h``, ``2d``."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_FORM = re.compile(r"(\d+)\s*(m|min|h|d)")
_UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> Any:
    if isinstance(value, str) and (found := _FORM.fullmatch(value.strip())):
        return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})
    msg = "must be a duration such as 30m, 26h or 2d"
    raise ValueError(msg)


_Text = Annotated[str, Field(pattern=r"^\s*\d+\s*(m|min|h|d)\s*$", examples=["30m", "26h", "2d"])]

Duration = Annotated[dt.timedelta, BeforeValidator(_duration, json_schema_input_type=_Text)]
"""A field that takes such a text."""
