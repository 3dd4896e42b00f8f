"""Whole steps of a time axis alone: a month that is not over is not compared with a whole one.

How far the data goes is the release's to say (``lavra.tables``), not the clock's: where landing
stands still, the month that it stands in stays unfinished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lavra.dashboards.identity import SYSTEM_SCHEMA, SYSTEM_TABLE

if TYPE_CHECKING:
    from lavra.dashboards.form import Chart
    from lavra.dashboards.gold import GoldTable

_READS = f"from {SYSTEM_SCHEMA}.{SYSTEM_TABLE} "
_NEVER = "date '9999-12-31'"


def condition(chart: Chart, table: GoldTable, time_zone: str) -> str | None:
    """Return the SQL condition that leaves out the step which the data does not fill yet.

    Args:
        chart: Its ``x`` and ``grain`` say the steps.
        table: The Gold table that it reads; where it does not say how far its data goes, no step
            is left out.
        time_zone: The business time zone: dates are days of that zone, timestamps are UTC.
    """
    column = table.columns.get(chart.x or "")
    if not chart.whole_steps or chart.grain is None or column is None:
        return None
    through = "max(data_through)"
    if column.type.upper() == "DATE":
        through = f"({through} at time zone 'UTC') at time zone '{time_zone}'"
    begun = f"date_trunc('{chart.grain}', {through})"
    if column.type.upper() == "DATE":
        begun = f"({begun})::date"
    return (
        f"{chart.x} < coalesce((select {begun} {_READS}where schema_name = '{table.schema}' "
        f"and table_name = '{table.name}'), {_NEVER})"
    )


def is_condition(sql: str) -> bool:
    """Whether a condition is one of ours, which the field ``whole`` says."""
    return _READS in sql
