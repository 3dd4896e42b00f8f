"""The SQLMesh unit tests of a project's models: made-up rows in, the rows they must become out.

What must come out is reckoned here, in Python, and not by running the model's own SQL.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from lavra.landing import types
from lavra.scaffold.layers import row_key
from lavra.scaffold.plan import Mart, Measure, TablePlan
from lavra.scaffold.profile import ColumnProfile
from lavra.scaffold.roles import Aggregate
from lavra.scaffold.templating import to_yaml

_ZONE = "America/Sao_Paulo"  # where half past one in UTC still is the day before
_MOMENT = datetime(2024, 1, 15, 1, 30)  # noqa: DTZ001 - stands for a column without a zone

Row = dict[str, Any]


def unit_tests(plan: TablePlan, plans: dict[str, TablePlan], domain: str) -> str:
    """Return the YAML of one file's unit tests."""
    tests = {f"test_silver_{plan.name}": _silver(plan, domain)}
    if plan.lookups:
        tests[f"test_gold_{plan.name}"] = _detail(plan, plans, domain)
    if plan.mart:
        tests[f"test_gold_{plan.mart.name}"] = _mart(plan, plan.mart, domain)
    for rollup in plan.rollups:
        tests[f"test_gold_{rollup.name}"] = _rollup(plan, rollup.name, rollup.category, domain)
    return to_yaml(tests)


def _case(model: str, inputs: dict[str, list[Row]], rows: list[Row], **more: Any) -> Row:
    """Return one test in SQLMesh's form; rows may come out in any order."""
    return {
        "model": model,
        **more,
        "inputs": {name: {"rows": given} for name, given in inputs.items()},
        "outputs": {"query": {"rows": rows}},
    }


def _silver(plan: TablePlan, domain: str) -> Row:
    landed, cleaned = [], []
    for number in (1, 2):
        before: Row = {}
        after: Row = {}
        for column in plan.profile.columns:
            empty = number == 2 and column.name not in plan.key
            value = None if empty else _value(column, number)
            before[column.name], after[column.name] = value, value
            if column.is_text:
                before[column.name] = "  " if empty else f" {value} "
            elif column.type.name == types.TIMESTAMP_TZ and value:
                before[column.name] = f"{value}+00:00"
        if not plan.key:
            row_id = row_key(plan)[0]
            before["_airbyte_raw_id"], after[row_id] = f"row {number}", f"row {number}"
        landed.append(before)
        cleaned.append(after)
    name = f"silver_{domain}.{plan.name}"
    about = "Text is trimmed, and empty text is NULL."
    return _case(name, {f"bronze_{domain}.{plan.name}": landed}, cleaned, description=about)


def _detail(plan: TablePlan, plans: dict[str, TablePlan], domain: str) -> Row:
    """One row whose references are found, and one whose references are not."""
    rows, expected = [], []
    others: dict[str, list[Row]] = {}
    for number in (1, 2):
        row = {column.name: _value(column, number) for column in plan.profile.columns}
        if not plan.key:
            row = {row_key(plan)[0]: f"row {number}", **row}
        brought: Row = {}
        for lookup in plan.lookups:
            other = plans[lookup.table].profile
            found = {there: _value(other.column(there), 7) for there, _ in lookup.columns}
            if number == 1:
                known = others.setdefault(f"silver_{domain}.{lookup.table}", [])
                there = {lookup.key: row[lookup.column], **found}
                if there not in known:
                    known.append(there)
            brought |= {
                here: found[there] if number == 1 else None for there, here in lookup.columns
            }
        rows.append(row)
        expected.append(row | brought)
    name = f"{domain}.{plan.name}"
    return _case(
        f"gold_{name}",
        {f"silver_{name}": rows, **others},
        expected,
        description="What another file says of a row is brought along; if it says nothing, NULL.",
    )


def _mart(plan: TablePlan, mart: Mart, domain: str) -> Row:
    time = plan.profile.column(mart.time)
    zoned = time.type.name == types.TIMESTAMP_TZ
    step = {"hour": 600, "day": 600, "month": 5 * 86400, "year": 60 * 86400}[mart.unit]
    moments = [_MOMENT, _MOMENT + timedelta(seconds=step), _MOMENT + timedelta(days=400)]
    category = plan.profile.column(mart.category) if mart.category else None
    rows = []
    for number, moment in enumerate(moments, start=1):
        row: Row = {mart.time: moment.date() if time.type.name == types.DATE else moment}
        if category:
            row[category.name] = _value(category, 1)
        rows.append(row | _quantities(plan, number))
    expected = []
    for members in (rows[:2], rows[2:]):
        group: Row = {mart.period: _period(members[0][mart.time], mart.unit, zoned=zoned)}
        if category:
            group[category.name] = members[0][category.name]
        expected.append(group | _aggregates(plan, members))
    about = f"Rows of one {mart.unit} come together."
    zone = {"vars": {"time_zone": _ZONE}} if zoned else {}
    name = f"gold_{domain}.{mart.name}"
    return _case(name, {f"silver_{domain}.{plan.name}": rows}, expected, description=about, **zone)


def _rollup(plan: TablePlan, name: str, category: str, domain: str) -> Row:
    column = plan.profile.column(category)
    values = [_value(column, 1), _value(column, 1), _value(column, 2)]
    rows = [
        {category: value} | _quantities(plan, number)
        for number, value in enumerate(values, start=1)
    ]
    expected = [
        {category: members[0][category]} | _aggregates(plan, members)
        for members in (rows[:2], rows[2:])
    ]
    about = f"Rows of one {category} come together."
    return _case(
        f"gold_{domain}.{name}",
        {f"silver_{domain}.{plan.name}": rows},
        expected,
        description=about,
    )


def _quantities(plan: TablePlan, number: int) -> Row:
    return {m.column: _value(plan.profile.column(m.column), number) for m in plan.measures}


def _aggregates(plan: TablePlan, rows: list[Row]) -> Row:
    result: Row = {plan.row_count: len(rows)}
    for measure in plan.measures:
        result |= _aggregate(plan, measure, [row[measure.column] for row in rows])
    return result


def _aggregate(plan: TablePlan, measure: Measure, values: list[Any]) -> Row:
    if measure.aggregate is Aggregate.SUM:
        return {measure.name: sum(values)}
    result: Row = {measure.name: float(sum(values)) / len(values)}
    if measure.weight != plan.row_count:
        result[measure.weight] = len(values)
    return result


def _period(moment: Any, unit: str, *, zoned: bool) -> Any:
    if isinstance(moment, datetime):
        if zoned:
            utc = moment.replace(tzinfo=ZoneInfo("UTC"))
            moment = utc.astimezone(ZoneInfo(_ZONE)).replace(tzinfo=None)
        if unit == "hour":
            return moment.replace(minute=0)
        moment = moment.date()
    day: date = moment
    if unit == "day":
        return day
    return day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _value(column: ColumnProfile, number: int) -> Any:
    """Return a made-up value of a column's type, another one for each number."""
    kind = column.type
    day = _MOMENT + timedelta(days=number)
    # Halves are the same number in binary and decimal, so that YAML says them exactly.
    half = float(Decimal(number) / 2) if kind.scale else number
    made_up: dict[str, Any] = {
        types.BOOLEAN: number % 2 == 1,
        types.INTEGER: 10 * number,
        types.NUMBER: 2.5 * number,
        types.DECIMAL: half,
        types.DATE: day.date(),
        types.TIME: f"10:30:0{number}",
        types.TIMESTAMP: day,
        types.TIMESTAMP_TZ: day,
    }
    return made_up.get(kind.name, f"{column.name} {number}")
