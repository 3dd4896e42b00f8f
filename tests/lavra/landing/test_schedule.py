"""Quartz cron expressions: read as Airbyte means them, refused with what is wrong."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import ValidationError

from lavra.landing.schedule import Cron, Schedule

NOW = dt.datetime(2026, 11, 21, 9, 30, 15, tzinfo=dt.UTC)  # a Saturday


@pytest.mark.parametrize(
    ("expression", "previous", "following"),
    [
        ("0 0 6 * * ?", "2026-11-21 06:00", "2026-11-22 06:00"),
        ("0 0 6 * * ? UTC", "2026-11-21 06:00", "2026-11-22 06:00"),
        ("0 0 6 * * ? America/Sao_Paulo", "2026-11-21 09:00", "2026-11-22 09:00"),
        ("0 0/5 * * * ?", "2026-11-21 09:30", "2026-11-21 09:35"),
        ("0 0 9 ? * 2-6", "2026-11-20 09:00", "2026-11-23 09:00"),  # Monday to Friday
        ("0 0 9 ? * MON-FRI", "2026-11-20 09:00", "2026-11-23 09:00"),
        ("0 0 9 ? * 1,7", "2026-11-21 09:00", "2026-11-22 09:00"),
        ("0 0 9 ? * 6L", "2026-10-30 09:00", "2026-11-27 09:00"),  # the last Friday
        ("0 0 9 ? * 6#3", "2026-11-20 09:00", "2026-12-18 09:00"),  # the third
        ("0 0 0 L * ?", "2026-10-31 00:00", "2026-11-30 00:00"),
        ("0 0 0 1 1 ? 2027", None, "2027-01-01 00:00"),
    ],
)
def test_an_expression_is_read_as_quartz_means_it(
    expression: str, previous: str | None, following: str
) -> None:
    def at(text: str | None) -> dt.datetime | None:
        return dt.datetime.fromisoformat(f"{text}+00:00") if text else None

    cron = Cron(expression)
    assert (cron.previous(NOW), cron.next(NOW)) == (at(previous), at(following))


def test_a_tick_is_due_at_its_own_second() -> None:
    six = dt.datetime(2026, 11, 21, 6, tzinfo=dt.UTC)
    assert Cron("0 0 6 * * ?").previous(six) == six


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("0 6 * * ?", "six fields"),
        ("0 0 6 * * *", r"exactly one of them must be \?"),
        ("0 0 25 * * ?", "not a cron expression"),
        ("0 0 6 * * ? Mars/Olympus", "no|not an IANA time zone"),
        ("0 0 6 15W * ?", "nearest weekday"),
    ],
)
def test_what_is_no_expression_is_refused(expression: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Schedule(schedule_type="cron", cron_expression=expression)
