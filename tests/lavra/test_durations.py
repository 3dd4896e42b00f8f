"""Durations, as YAML and the command line write them."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import TypeAdapter, ValidationError

from lavra.durations import Duration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "meant", "shown"),
    [
        ("30m", dt.timedelta(minutes=30), "30m"),
        (" 90 min ", dt.timedelta(minutes=90), "90m"),
        ("26h", dt.timedelta(hours=26), "26h"),
        ("48h", dt.timedelta(days=2), "2d"),
        ("8w", dt.timedelta(weeks=8), "56d"),
        ("0m", dt.timedelta(0), "0m"),
        ("99999w", dt.timedelta(weeks=99999), "699993d"),
    ],
)
def test_a_duration_is_read_and_shown(text: str, meant: dt.timedelta, shown: str) -> None:
    assert parse_duration(text) == meant
    assert format_duration(meant) == shown
    assert TypeAdapter(Duration).validate_python(text) == meant


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1.5h", "1s", "1h30m", "٣h", "100000d", 5])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must be a duration such as 30m, 26h or 2d"):
        TypeAdapter(Duration).validate_python(text)
