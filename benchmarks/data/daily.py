"""Revenue by day and channel: one small fact table, as a dashboard reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

DAILY = "gold_test.daily"


def create_daily(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Create the table in the lake attached as ``lake``; 2,000 days, three channels."""
    connection.execute(
        f"create table lake.{DAILY} as select date '2020-01-01' + (range % 2000)::int "
        "as day, ['web', 'app', 'store'][range % 3 + 1] as channel, "
        f"(range % 977)::decimal(18, 2) as revenue from range({rows})"
    )
