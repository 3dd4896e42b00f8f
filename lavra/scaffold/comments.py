"""What is said of columns and tables in comments."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lavra.landing import types
from lavra.scaffold import naming, roles
from lavra.scaffold.plan import Lookup, Mart, TablePlan
from lavra.scaffold.profile import ColumnProfile
from lavra.scaffold.templating import plain, shown


def meaning(plan: TablePlan, column: ColumnProfile) -> str:
    """Say what a column is, in words that its audits keep true."""
    said = [naming.title(column.name)]
    if plan.key == (column.name,):
        said.append(f"identifies a {thing(plan)}")
    elif column.name in plan.key:
        said.append("part of the key")
    said += [f"refers to {x.table}" for x in plan.lookups if x.column == column.name]
    if column.type.name == types.TIMESTAMP_TZ:
        said.append("UTC")
    if column.nulls == column.rows:
        said.append("empty in every row so far")
    elif column.nulls:
        said.append("may be empty")
    if naming.snake_case(column.header) != column.name and plain(column.header):
        said.append(f"header {shown(column.header)}")
    return "; ".join(said)


def figures(column: ColumnProfile) -> str:
    """Say what the file holds in a column."""
    figures = [f"{column.nulls:,} empty of {column.rows:,}"]
    if column.distinct:
        if column.is_unique:
            figures.append("each value once")
        elif column.is_text or column.distinct <= roles.CLOSED_VALUES:
            values = "value" if column.distinct == 1 else "values"
            figures.append(f"{column.distinct:,} distinct {values}")
        if column.is_numeric or column.is_temporal:
            figures.append(f"{_written(column.minimum)} to {_written(column.maximum)}")
    return ", ".join(figures)


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:,}" if isinstance(value, int | Decimal) else f"{value}"


def thing(plan: TablePlan) -> str:
    """Return what one row of the table is, in words."""
    return plan.singular.replace("_", " ")


def row_of(plan: TablePlan) -> str:
    """Return what the table has one row for each of."""
    if len(plan.key) > 1:
        return " and ".join(plan.key)
    return thing(plan)


def looked_up(lookup: Lookup, column: str) -> str:
    """Say where a column of another table comes from."""
    known = "" if lookup.is_complete else "; NULL where that has no such row"
    return f"{naming.title(column)} of the {lookup.column}, from {lookup.table}{known}"


def period(time: ColumnProfile, mart: Mart) -> str:
    """Say what the period of a mart is."""
    if mart.unit == "hour":
        return f"Start of the hour of {time.name}"
    first = {"day": "The day", "month": "First day of the month", "year": "First day of the year"}
    zone = ", business time zone" if time.type.name == types.TIMESTAMP_TZ else ""
    return f"{first[mart.unit]} of {time.name}{zone}"


def group(column: ColumnProfile) -> str:
    """Say what the category of a mart or rollup is."""
    unknown = "; NULL for rows that have none" if column.nulls else ""
    return naming.title(column.name) + unknown
