"""Cases of ``test_ui_expressions.py``: a query as Superset's UI posts it, and the truth in DuckDB.

``t`` is the table ``gold_test.readings`` of ``conftest.py``: a column of each type, nulls in every
nullable one, text with quotes, percent signs and accents, and moments before 1970.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A query of a query context, and a DuckDB statement that gives the same columns and rows."""

    name: str
    expected: str
    query: dict[str, Any] = field(default_factory=dict)
    kind: str = "full"
    is_ordered: bool = False
    is_long: bool = False


def crossed(
    rows: Iterable[Any], columns: Collection[Any], every: int
) -> Iterator[tuple[Any, Any, bool]]:
    """Each row with each column, and whether that is left to the long form of the test.

    One of ``every`` is not, in another place of each row: each row and column has one.
    """
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            yield row, column, (i + j) % every > 0


def metric(expression: str, label: str) -> dict[str, Any]:
    """A metric written as SQL."""
    return {"expressionType": "SQL", "sqlExpression": expression, "label": label}


def simple(aggregate: str, column: str) -> dict[str, Any]:
    """A metric picked in the UI: an aggregate and a column."""
    return {
        "expressionType": "SIMPLE", "aggregate": aggregate, "column": {"column_name": column},
        "label": "m",
    }  # fmt: skip


def axis(column: str, grain: str | None, label: str = "x") -> dict[str, Any]:
    """The x axis of a time series."""
    return {
        "columnType": "BASE_AXIS", "sqlExpression": column, "label": label, "timeGrain": grain,
        "expressionType": "SQL",
    }  # fmt: skip


def where(column: str, operator: str, value: Any = None) -> dict[str, Any]:
    """A filter."""
    return {"col": column, "op": operator} | ({} if value is None else {"val": value})


def six(sql: str) -> str:
    """A quotient of decimals as DataFusion keeps it: four digits more than it was given."""
    return f"trunc({sql} * 1000000) / 1000000"


COUNT = metric("count(*)", "n")
TOTAL = metric("sum(amount)", "total")
ID = {"columns": ["id"], "metrics": []}

_EVERY = "time_bucket(interval '{}', ts::timestamp, timestamp '1970-01-01')"
GRAINS = {
    "PT1S": "date_trunc('second', ts)",
    "PT5S": _EVERY.format("5 seconds"),
    "PT30S": _EVERY.format("30 seconds"),
    "PT1M": "date_trunc('minute', ts)",
    "PT5M": _EVERY.format("5 minutes"),
    "PT10M": _EVERY.format("10 minutes"),
    "PT15M": _EVERY.format("15 minutes"),
    "PT30M": _EVERY.format("30 minutes"),
    "PT0.5H": _EVERY.format("30 minutes"),
    "PT1H": "date_trunc('hour', ts)",
    "PT6H": _EVERY.format("6 hours"),
    "P1D": "date_trunc('day', ts)",
    "P1W": "date_trunc('week', ts)",
    "1969-12-28T00:00:00Z/P1W": "date_trunc('day', ts) - to_days(dayofweek(ts)::int)",
    "1969-12-29T00:00:00Z/P1W": "date_trunc('day', ts) - to_days(isodow(ts)::int - 1)",
    "P1W/1970-01-03T00:00:00Z": "date_trunc('day', ts) + to_days(6 - dayofweek(ts)::int)",
    "P1W/1970-01-04T00:00:00Z": "date_trunc('day', ts) + to_days(7 - isodow(ts)::int)",
    "P1M": "date_trunc('month', ts)",
    "P3M": "date_trunc('quarter', ts)",
    "P0.25Y": "date_trunc('quarter', ts)",
    "P1Y": "date_trunc('year', ts)",
}


def plain(column: str) -> str:
    """A column of time as a moment in UTC."""
    return f"({column} at time zone 'UTC')" if column == "zoned" else f"{column}::timestamp"


def grained(column: str, grain: str) -> str:
    """The truth about rows counted by a grain of a column."""
    moved = f"(select * replace ({plain(column)} as ts) from t)"
    return f"select ({GRAINS[grain]})::timestamp as x, count(*) as n from {moved} group by 1"


_GRAINS = [
    Case(
        f"grain {grain} of {column}", grained(column, grain),
        {"columns": [axis(column, grain)], "metrics": [COUNT]}, is_long=is_long,
    )
    for grain, column, is_long in crossed(GRAINS, ("ts", "day"), 2)
]  # fmt: skip
_GRAINS += [
    Case("grain P1D of a moment with a zone", grained("zoned", "P1D"),
         {"columns": [axis("zoned", "P1D")], "metrics": [COUNT]}),
    Case("no grain", "select ts as x, count(*) as n from t group by 1",
         {"columns": [axis("ts", None)], "metrics": [COUNT]}),
    Case("grain of seconds since the epoch", grained("ts", "P1M"),
         {"columns": [axis("seconds", "P1M")], "metrics": [COUNT]}),
    Case("grain of milliseconds since the epoch", grained("ts", "P1W"),
         {"columns": [axis("millis", "P1W")], "metrics": [COUNT]}),
    Case("grain, the older form", "select date_trunc('month', ts) as __timestamp, "
         "sum(amount) as total from t group by 1",
         {"granularity": "ts", "is_timeseries": True, "metrics": [TOTAL],
          "extras": {"time_grain_sqla": "P1M"}}),
]  # fmt: skip

_AGGREGATES = [
    Case(f"{aggregate} of {column}", f"select {sql.format(column)} as m from t",
         {"metrics": [simple(aggregate, column)]}, is_long=is_long)
    for column, (aggregate, sql), is_long in crossed(
        ("tiny", "big", "ratio", "quarter", "amount"),
        {
            "AVG": "avg({})", "COUNT": "count({})", "COUNT_DISTINCT": "count(distinct {})",
            "MAX": "max({})", "MIN": "min({})", "SUM": "sum({})",
        }.items(),
        3,
    )
    if (column, aggregate) != ("amount", "AVG")
] + [
    Case("AVG of amount", f"select {six('avg(amount)')} as m from t",
         {"metrics": [simple("AVG", "amount")]}),
] + [
    Case(f"{aggregate} of {column}", f"select {sql.format(column)} as m from t",
         {"metrics": [simple(aggregate, column)]}, is_long=is_long)
    for column, (aggregate, sql), is_long in crossed(
        ("place", "flag", "day", "ts", "zoned"),
        {
            "COUNT": "count({})", "COUNT_DISTINCT": "count(distinct {})", "MAX": "max({})",
            "MIN": "min({})",
        }.items(),
        2,
    )
    if (column, aggregate) not in {("flag", "MAX"), ("flag", "MIN")}
]  # fmt: skip

_COMPARISONS = {"==": "=", "!=": "<>", ">": ">", "<": "<", ">=": ">=", "<=": "<="}
_VALUES: dict[str, tuple[Any, str]] = {
    "tiny": (3, "3"), "big": (5000000000000, "5000000000000"), "ratio": (12.5, "12.5"),
    "quarter": (0.75, "0.75"), "amount": (7.05, "7.05"), "place": ("Recife", "'Recife'"),
}  # fmt: skip
_FILTERS = [
    Case(f"filter {column} {operator}", f"select id from t where {column} {sql} {literal}",
         ID | {"filters": [where(column, operator, value)]}, is_long=is_long)
    for (column, (value, literal)), (operator, sql), is_long in crossed(
        _VALUES.items(), _COMPARISONS.items(), 3
    )
] + [
    Case(f"filter {column} {operator}", f"select id from t where {column} {operator}",
         ID | {"filters": [where(column, operator)]}, is_long=is_long)
    for column, operator, is_long in crossed(
        ("ratio", "amount", "place", "flag"), ("IS NULL", "IS NOT NULL"), 2
    )
] + [
    Case(f"filter place {operator} {value}", f"select id from t where place {operator} '{value}'",
         ID | {"filters": [where("place", operator, value)]}, is_long=is_long)
    for operator, value, is_long in crossed(
        ("LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE"), ("rec%", "%a%", "S_o%", "100%"), 2
    )
] + [
    Case(f"filter {column} {operator}", f"select id from t where {column} {operator} {literals}",
         ID | {"filters": [where(column, operator, values)]}, is_long=is_long)
    for operator, (column, values, literals), is_long in crossed(
        ("IN", "NOT IN"),
        (
            ("tiny", [1, 4], "(1, 4)"),
            ("amount", [7.05, 9.05], "(7.05, 9.05)"),
            ("ratio", [0.25, 12.5], "(0.25, 12.5)"),
            ("place", ["São Paulo", "O'Brien", "100%", "x:y"],
             "('São Paulo', 'O''Brien', '100%', 'x:y')"),
        ),
        2,
    )
] + [
    Case("filter flag IS TRUE", "select id from t where flag",
         ID | {"filters": [where("flag", "IS TRUE")]}),
    Case("filter flag IS FALSE", "select id from t where not flag",
         ID | {"filters": [where("flag", "IS FALSE")]}),
    Case("filter flag == true", "select id from t where flag",
         ID | {"filters": [where("flag", "==", "true")]}),
    Case("filter flag IN", "select id from t where flag",
         ID | {"filters": [where("flag", "IN", ["true"])]}),
    Case("filter text with null in the list",
         "select id from t where place = 'Recife' or place is null",
         ID | {"filters": [where("place", "IN", ["Recife", "<NULL>"])]}),
    Case("filter empty text", "select id from t where place = ''",
         ID | {"filters": [where("place", "IN", ["<empty string>"])]}),
    Case("filter a quote", "select id from t where place = 'O''Brien'",
         ID | {"filters": [where("place", "==", "O'Brien")]}),
    Case("filter a date by its epoch", "select id from t where day = date '2023-02-01'",
         ID | {"filters": [where("day", "==", 1675209600000)]}),
    Case("filter dates by their epochs",
         "select id from t where day in (date '2023-02-01', date '2023-02-02')",
         ID | {"filters": [where("day", "IN", [1675209600000, 1675296000000])]}),
    Case("filter a moment by its epoch",
         "select id from t where ts >= timestamp '2023-02-01'",
         ID | {"filters": [where("ts", ">=", 1675209600000)]}),
    Case("two filters", "select id from t where level = 'low' and amount > 20",
         ID | {"filters": [where("level", "==", "low"), where("amount", ">", 20)]}),
    Case("filter written as SQL",
         "select id from t where (place = 'O''Brien' or place like '1%') and flag",
         ID | {"extras": {"where": "(place = 'O''Brien' or place like '1%') and flag"}}),
    Case("filter on an expression", "select id from t where upper(place) = 'RECIFE'",
         ID | {"filters": [{"col": {"sqlExpression": "upper(place)", "label": "up",
                                    "expressionType": "SQL"}, "op": "==", "val": "RECIFE"}]}),
]  # fmt: skip

_RANGES = {
    "2023-01-10 : 2023-03-05": "{0} >= '2023-01-10' and {0} < '2023-03-05'",
    " : 2023-02-01": "{0} < '2023-02-01'",
    "2024-02-01 : ": "{0} >= '2024-02-01'",
    "DATETRUNC(DATETIME('2023-03-15T00:00:00'), MONTH) : "
    "DATEADD(DATETIME('2023-03-15T00:00:00'), 7, day)":
        "{0} >= '2023-03-01' and {0} < '2023-03-22'",
    "1968-02-21 : 1968-03-01": "{0} >= '1968-02-21' and {0} < '1968-03-01'",
    "No filter": "true",
}  # fmt: skip
WITHIN_DAYS = "2023-01-10T06:30:00 : 2023-01-11T07:00:15"
_SINCE = {
    "Last day": "recent >= current_date - 1 and recent < current_date",
    "Last week": "recent >= current_date - 7 and recent < current_date",
    "Last month": "recent >= current_date - interval 1 month and recent < current_date",
    "Last quarter": "recent >= current_date - interval 3 months and recent < current_date",
    "Last year": "recent >= current_date - interval 1 year and recent < current_date",
    "previous calendar week": "date_trunc('week', recent) = "
        "date_trunc('week', current_date) - interval 7 days",
    "previous calendar month": "date_trunc('month', recent) = "
        "date_trunc('month', current_date) - interval 1 month",
    "previous calendar quarter": "date_trunc('quarter', recent) = "
        "date_trunc('quarter', current_date) - interval 3 months",
    "previous calendar year": "year(recent) = year(current_date) - 1",
    "Current month": "recent >= date_trunc('month', current_date) and recent <= current_date",
    "Current year": "recent >= date_trunc('year', current_date) and recent <= current_date",
}  # fmt: skip
_TIMES = [
    Case(f"period {period} of {column}",
         f"select id from t where {sql.format(plain(column))}",
         ID | {"filters": [where(column, "TEMPORAL_RANGE", period)]}, is_long=is_long)
    for (period, sql), column, is_long in crossed(_RANGES.items(), ("ts", "day", "zoned"), 3)
] + [
    Case(f"period {period}", f"select id from t where {sql}",
         ID | {"filters": [where("recent", "TEMPORAL_RANGE", period)]})
    for period, sql in _SINCE.items()
] + [
    Case("period within a day of ts",
         "select id from t where ts >= '2023-01-10 06:30:00' and ts < '2023-01-11 07:00:15'",
         ID | {"filters": [where("ts", "TEMPORAL_RANGE", WITHIN_DAYS)]}),
    # A bound of a date column is the day it falls on, as in Superset's other engines.
    Case("period within a day of day", "select id from t where day = '2023-01-10'",
         ID | {"filters": [where("day", "TEMPORAL_RANGE", WITHIN_DAYS)]}),
    Case("period of seconds since the epoch",
         "select id from t where ts >= '2023-01-10' and ts < '2023-03-05'",
         ID | {"filters": [where("seconds", "TEMPORAL_RANGE", "2023-01-10 : 2023-03-05")]}),
    Case("period of milliseconds since the epoch",
         "select id from t where ts >= '2023-01-10' and ts < '2023-03-05'",
         ID | {"filters": [where("millis", "TEMPORAL_RANGE", "2023-01-10 : 2023-03-05")]}),
    Case("period of days written as text",
         "select id from t where ts >= '2023-01-10' and ts < '2023-03-05'",
         ID | {"filters": [where("day_text", "TEMPORAL_RANGE", "2023-01-10 : 2023-03-05")]}),
]  # fmt: skip

_BY_PLACE = {"columns": ["place"], "metrics": [TOTAL]}
_GROUPS = [
    Case("HAVING", "select place, sum(amount) as total from t group by 1 having sum(amount) > 2400",
         _BY_PLACE | {"extras": {"having": "sum(amount) > 2400"}}),
    Case("HAVING and a filter", "select place, sum(amount) as total from t where level <> 'low' "
         "group by 1 having count(*) > 10 and sum(amount) < 2480",
         _BY_PLACE | {"extras": {"having": "count(*) > 10 and sum(amount) < 2480"},
                      "filters": [where("level", "!=", "low")]}),
    Case("groups by every type", "select tiny, big, amount, place, flag, day, count(*) as n "
         "from t group by all",
         {"columns": ["tiny", "big", "amount", "place", "flag", "day"], "metrics": [COUNT]}),
    Case("groups by an expression", "select lower(place) as low, count(*) as n from t group by 1",
         {"columns": [{"sqlExpression": "lower(place)", "label": "low", "expressionType": "SQL"}],
          "metrics": [COUNT]}),
    Case("groups by a CASE", "select case when amount > 25 then 'big %' else 'small: x' end as c, "
         "count(*) as n from t group by 1",
         {"columns": [{"sqlExpression": "case when amount > 25 then 'big %' else 'small: x' end",
                       "label": "c", "expressionType": "SQL"}], "metrics": [COUNT]}),
    Case("the highest first", "select place, sum(amount) as total from t group by 1 "
         "order by 2 desc nulls last limit 4",
         _BY_PLACE | {"orderby": [[TOTAL, False]], "row_limit": 4}, is_ordered=True),
    Case("the lowest first, the second page", "select place, sum(amount) as total from t "
         "group by 1 order by 2 limit 3 offset 3",
         _BY_PLACE | {"orderby": [[TOTAL, True]], "row_limit": 3, "row_offset": 3},
         is_ordered=True),
    Case("ordered by a metric that is not shown",
         "select place from (select place, count(ratio) as m, sum(big) as b from t group by 1) "
         "order by b desc limit 3",
         {"columns": ["place"], "metrics": [], "orderby": [[simple("SUM", "big"), False]],
          "row_limit": 3}, is_ordered=True),
    Case("raw rows", "select id, place, amount, ts, day, flag from t order by ts, id limit 50",
         {"columns": ["id", "place", "amount", "ts", "day", "flag"], "metrics": [],
          "orderby": [["ts", True], ["id", True]], "row_limit": 50}, is_ordered=True),
    Case("distinct values of a filter", "select distinct place from t",
         {"columns": ["place"], "metrics": []}),
    Case("the bounds of a range filter", "select min(amount) as lo, max(amount) as hi from t",
         {"metrics": [metric("min(amount)", "lo"), metric("max(amount)", "hi")]}),
    Case("the count of rows", "select count(*) as rowcount from (select distinct place from t)",
         {"columns": ["place"], "metrics": [], "is_rowcount": True, "row_limit": 0}),
    Case("a quantile, a median, a share", "select level, median(ratio) as med, "
         f"{six('sum(amount) filter (flag) / sum(amount)')} as share from t group by 1",
         {"columns": ["level"], "metrics": [
             metric("median(ratio)", "med"),
             metric("sum(amount) filter (where flag) / sum(amount)", "share")]}),
    Case("labels with quotes and accents",
         "select level, count(*) as \"nº de 'linhas' 100%\" from t group by 1",
         {"columns": ["level"], "metrics": [metric("count(*)", "nº de 'linhas' 100%")]}),
]  # fmt: skip

_MONTHLY = {"columns": [axis("ts", "P1M"), "place"], "metrics": [TOTAL]}
_SERIES = {"series_columns": ["place"], "series_limit": 3, "series_limit_metric": TOTAL,
           "order_desc": True}  # fmt: skip
_TOP = "select place from t group by 1 order by sum(amount) desc nulls last limit 3"
_TOPS = [
    Case("top-N of a time series", "select date_trunc('month', ts) as x, place, sum(amount) as "
         f"total from t where place in ({_TOP}) group by 1, 2", _MONTHLY | _SERIES),
    Case("top-N with Others", "select date_trunc('month', ts) as x, case when place in "
         f"({_TOP}) then place else 'Others' end as place, sum(amount) as total "
         "from t group by 1, 2", _MONTHLY | _SERIES | {"group_others_when_limit_reached": True}),
    Case("top-N with Others of groups", f"select case when place in ({_TOP}) then place else "
         "'Others' end as place, sum(amount) as total from t group by 1",
         _BY_PLACE | _SERIES | {"group_others_when_limit_reached": True}),
    Case("top-N with Others and a filter", "select case when place in (select place from t "
         "where level = 'low' group by 1 order by sum(amount) desc nulls last limit 3) then place "
         "else 'Others' end as place, sum(amount) as total from t where level = 'low' group by 1",
         _BY_PLACE | _SERIES | {"group_others_when_limit_reached": True,
                                "filters": [where("level", "==", "low")]}),
    Case("bottom-N", "select place, sum(amount) as total from t where place in (select place "
         "from t group by 1 order by sum(amount) limit 2) group by 1",
         _BY_PLACE | _SERIES | {"series_limit": 2, "order_desc": False}),
]  # fmt: skip

CASES = [*_GRAINS, *_AGGREGATES, *_FILTERS, *_TIMES, *_GROUPS, *_TOPS]
