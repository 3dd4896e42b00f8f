"""When a connection is due: Quartz cron expressions, as Airbyte writes them, and our reading.

Quartz has seconds first, Sunday as day 1, ``?`` for "no say", and perhaps a year; behind it
stands a time zone, UTC when there is none.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_ZONE = re.compile(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*")


class Cron:
    """A Quartz expression.

    Raises:
        ValueError: it is none; the message says what is wrong with it.
    """

    def __init__(self, expression: str) -> None:
        from croniter import CroniterError, croniter  # noqa: PLC0415

        parts = expression.split()
        zone = parts.pop() if len(parts) > 6 and _ZONE.fullmatch(parts[-1]) else "UTC"
        if len(parts) not in {6, 7}:
            msg = "must have six fields (second minute hour day-of-month month day-of-week), perhaps a year, and a time zone: 0 0 6 * * ? UTC"  # noqa: E501
            raise ValueError(msg)
        if (parts[3] == "?") == (parts[5] == "?"):
            msg = "day of month and day of week: exactly one of them must be ?"
            raise ValueError(msg)
        try:
            self.zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            msg = f"{zone} is not an IANA time zone (try America/Sao_Paulo or UTC)"
            raise ValueError(msg) from error
        if "W" in parts[3].upper():
            msg = "day of month: W (nearest weekday) is not read here"
            raise ValueError(msg)
        parts[5] = _day_of_week(parts[5])
        self._fields = " ".join("*" if part == "?" else part for part in parts)
        try:
            croniter(self._fields, second_at_beginning=True)
        except CroniterError as error:
            msg = f"is not a cron expression of Quartz: {error}"
            raise ValueError(msg) from error

    def previous(self, now: dt.datetime) -> dt.datetime | None:
        """Return the newest tick at or before ``now``, in UTC; None if there was none."""
        return self._step("get_prev", now.replace(microsecond=0) + dt.timedelta(seconds=1))

    def next(self, now: dt.datetime) -> dt.datetime | None:
        """Return the first tick after ``now``, in UTC; None if there is none to come."""
        return self._step("get_next", now)

    def _step(self, which: str, now: dt.datetime) -> dt.datetime | None:
        from croniter import CroniterBadDateError, croniter  # noqa: PLC0415

        ticks = croniter(self._fields, now.astimezone(self.zone), second_at_beginning=True)
        try:
            at: dt.datetime = getattr(ticks, which)(dt.datetime)
        except CroniterBadDateError:
            return None
        return at.astimezone(dt.UTC)


def _day_of_week(field: str) -> str:
    """Return a day-of-week field with Sunday as 0: Quartz counts from 1."""

    def shifted(found: re.Match[str]) -> str:
        return str(int(found[0]) - 1)

    def part(text: str) -> str:
        days, *step = text.split("/")
        days, *nth = days.split("#")
        last = re.fullmatch(r"([1-7])L", days, re.IGNORECASE)
        if last:
            return f"L{int(last[1]) - 1}"
        days = re.sub(r"[1-7]", shifted, days)
        if step and days != "*" and "-" not in days:
            days = f"{days}-6"
        return "/".join(["#".join([days, *nth]), *step])

    return ",".join(part(text) for text in field.split(","))


class Schedule(BaseModel):
    """When a connection is due."""

    model_config = ConfigDict(
        extra="forbid", frozen=True,
        json_schema_extra={
            "if": {"required": ["schedule_type"], "properties": {"schedule_type": {"const": "cron"}}},  # noqa: E501
            "then": {
                "required": ["cron_expression"],
                "properties": {"cron_expression": {"type": "string", "minLength": 1}},
            },
            "else": {"properties": {"cron_expression": {"type": ["string", "null"], "maxLength": 0}}},  # noqa: E501
        },
    )  # fmt: skip

    schedule_type: Literal["manual", "cron"] = Field(
        default="manual", description="cron: by the expression; manual: only when asked for."
    )
    cron_expression: str | None = Field(
        default=None,
        description="Quartz's, with a time zone: `0 0 6 * * ? UTC` is every day at six. Airbyte "
        "runs it for what it lands, `lavra ingest watch` for what Lavra lands itself.",
    )

    @field_validator("cron_expression")
    @classmethod
    def _is_quartz(cls, expression: str | None) -> str | None:
        if expression:
            try:
                Cron(expression)
            except ImportError:  # without lavra[ingestion] nothing runs by it
                return expression
            except ValueError as error:
                msg = f"{expression!r} {error}"
                raise ValueError(msg) from error
        return expression

    @model_validator(mode="after")
    def _complete(self) -> Schedule:
        if (self.schedule_type == "cron") != bool(self.cron_expression):
            msg = "schedule_type cron needs a cron_expression, and manual has none"
            raise ValueError(msg)
        return self

    @property
    def cron(self) -> Cron | None:
        """The expression, ready to be asked; None for a manual schedule."""
        return Cron(self.cron_expression) if self.cron_expression else None
