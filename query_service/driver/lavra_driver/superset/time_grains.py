"""How each of Superset's time grains is written; ``{col}`` stands for the column."""

from __future__ import annotations

from superset.constants import TimeGrain

_EPOCH = "TIMESTAMP '1970-01-01T00:00:00'"


def _bin(step: str) -> str:
    return f"date_bin(INTERVAL '{step}', CAST({{col}} AS TIMESTAMP), {_EPOCH})"


def _trunc(unit: str) -> str:
    return f"date_trunc('{unit}', {{col}})"


def _week(days_back: int, days_on: int) -> str:
    """A week that begins ``days_back`` days before Monday, shown by its day ``days_on``."""
    moved = "CAST({col} AS TIMESTAMP)"
    if days_back:
        moved = f"{moved} + INTERVAL '{days_back} days'"
    shown = days_on - days_back
    week = f"date_trunc('week', {moved})"
    if not shown:
        return week
    return f"{week} {'+' if shown > 0 else '-'} INTERVAL '{abs(shown)} days'"


TIME_GRAINS = {
    None: "{col}",
    TimeGrain.SECOND: _trunc("second"),
    TimeGrain.FIVE_SECONDS: _bin("5 seconds"),
    TimeGrain.THIRTY_SECONDS: _bin("30 seconds"),
    TimeGrain.MINUTE: _trunc("minute"),
    TimeGrain.FIVE_MINUTES: _bin("5 minutes"),
    TimeGrain.TEN_MINUTES: _bin("10 minutes"),
    TimeGrain.FIFTEEN_MINUTES: _bin("15 minutes"),
    TimeGrain.THIRTY_MINUTES: _bin("30 minutes"),
    TimeGrain.HALF_HOUR: _bin("30 minutes"),
    TimeGrain.HOUR: _trunc("hour"),
    TimeGrain.SIX_HOURS: _bin("6 hours"),
    TimeGrain.DAY: _trunc("day"),
    TimeGrain.WEEK: _trunc("week"),
    TimeGrain.WEEK_STARTING_SUNDAY: _week(1, 0),
    TimeGrain.WEEK_STARTING_MONDAY: _trunc("week"),
    TimeGrain.WEEK_ENDING_SATURDAY: _week(1, 6),
    TimeGrain.WEEK_ENDING_SUNDAY: _week(0, 6),
    TimeGrain.MONTH: _trunc("month"),
    TimeGrain.QUARTER: _trunc("quarter"),
    TimeGrain.QUARTER_YEAR: _trunc("quarter"),
    TimeGrain.YEAR: _trunc("year"),
}
