"""Cases of ``test_ui_expressions.py`` in which Superset works on the service's answer itself."""

from __future__ import annotations

from typing import Any

from tests.lavra.dashboards.ui_expressions import COUNT, TOTAL, Case, axis, simple, where

_DAILY = {
    "columns": [axis("ts", "P1D")], "metrics": [COUNT],
    "filters": [where("ts", "TEMPORAL_RANGE", "2024-01-01 : 2024-04-01")],
}  # fmt: skip
_D = "d as (select date_trunc('day', ts) as x, count(*) as n from t group by 1)"
_IN_2024 = "x >= '2024-01-01' and x < '2024-04-01'"
_PIVOT = {
    "operation": "pivot",
    "options": {"index": ["x"], "columns": [], "aggregates": {"n": {"operator": "mean"}},
                "drop_missing_columns": False},
}  # fmt: skip
_FLATTEN = {"operation": "flatten"}


def step(operation: str, **options: Any) -> dict[str, Any]:
    """One step of Superset's own work on rows."""
    return {"operation": operation, "options": options}


def over_days(name: str, expression: str, *steps: dict[str, Any]) -> Case:
    """A daily count worked on by Superset; ``expression`` is the truth over ``n`` by ``x``."""
    return Case(
        name,
        f", {_D}, m as (select * from d where {_IN_2024}) select x, {expression} as n from m",
        _DAILY | {"post_processing": [_PIVOT, *steps, _FLATTEN]},
    )


def shifted(name: str, offset: str, interval: str, grain: str = "day", code: str = "P1D") -> Case:
    """A count beside that of an earlier time."""
    days = f"d as (select date_trunc('{grain}', ts) as x, count(*) as n from t group by 1)"
    return Case(
        name,
        f', {days} select a.x as ts, a.n, b.n as "n__{offset}" from d a left join d b '
        f"on b.x = a.x - interval {interval} where a.x >= '2024-01-01' and a.x < '2024-04-01'",
        _DAILY | {"columns": [axis("ts", code, "ts")], "time_offsets": [offset]},
    )


def compared(kind: str, expression: str) -> Case:
    """A count compared with that of a year before."""
    label = f"{kind}__n__n__1 year ago"
    both = {**_PIVOT["options"], "index": ["ts"], "aggregates": {  # type: ignore[dict-item]
        "n": {"operator": "mean"}, "n__1 year ago": {"operator": "mean"}}}  # fmt: skip
    return Case(
        f"{kind} against a year before",
        f", {_D} select a.x as ts, {expression} as \"{label}\" from d a join d b "
        f"on b.x = a.x - interval 1 year where a.{_IN_2024.replace('and x', 'and a.x')}",
        _DAILY | {
            "columns": [axis("ts", "P1D", "ts")],
            "time_offsets": ["1 year ago"],
            "post_processing": [
                step("pivot", **both),
                step("compare", source_columns=["n"], compare_columns=["n__1 year ago"],
                     compare_type=kind, drop_original_columns=True),
                _FLATTEN,
            ],
        },
    )  # fmt: skip


_WINDOW = "over (order by x rows between 6 preceding and current row)"
POST_CASES = [
    over_days("rolling sum", f"sum(n) {_WINDOW}",
              step("rolling", rolling_type="sum", window=7, min_periods=0, columns={"n": "n"})),
    over_days("rolling mean", f"avg(n) {_WINDOW}",
              step("rolling", rolling_type="mean", window=7, min_periods=0, columns={"n": "n"})),
    over_days("rolling deviation", f"coalesce(stddev_samp(n) {_WINDOW}, null)",
              step("rolling", rolling_type="std", window=7, min_periods=0, columns={"n": "n"})),
    over_days("cumulative sum", "sum(n) over (order by x)",
              step("cum", operator="sum", columns={"n": "n"})),
    over_days("share of the total", "n / sum(n) over ()",
              step("contribution", orientation="column", columns=["n"])),
    over_days("change from day to day", "n - lag(n) over (order by x)",
              step("diff", columns={"n": "n"}, periods=1)),
    shifted("beside a year before", "1 year ago", "1 year"),
    shifted("beside a week before", "1 week ago", "7 days"),
    shifted("beside 28 days before", "28 days ago", "28 days"),
    shifted("months beside a year before", "1 year ago", "1 year", "month", "P1M"),
    shifted("months beside the month before", "1 month ago", "1 month", "month", "P1M"),
    compared("difference", "a.n - b.n"),
    compared("percentage", "(a.n - b.n) / b.n"),
    compared("ratio", "a.n / b.n"),
    Case("percent metrics of a table",
         "select level, sum(amount) as total, sum(amount) / sum(sum(amount)) over () as \"%total\" "
         "from t group by 1",
         {"columns": ["level"], "metrics": [TOTAL], "post_processing": [
             step("contribution", columns=["total"], rename_columns=["%total"])]}),
    Case("one line for each level",
         "select date_trunc('month', ts) as x, count(*) filter (level = 'low') as low, "
         "count(*) filter (level = 'mid') as mid, count(*) filter (level = 'high') as high "
         "from t where ts >= '2023-01-01' group by 1",
         {"columns": [axis("ts", "P1M"), "level"], "metrics": [COUNT], "series_columns": ["level"],
          "filters": [where("ts", "TEMPORAL_RANGE", "2023-01-01 : ")], "post_processing": [
              step("pivot", index=["x"], columns=["level"], aggregates={"n": {"operator": "mean"}},
                   drop_missing_columns=False),
              step("rename", columns={"n": None}, level=0), _FLATTEN]}),
    Case("days without rows are filled",
         "select unnest(generate_series(date_trunc('day', min(ts)), max(ts), interval 1 day)) as x "
         "from t where id % 3 = 0 and ts >= '2024-01-01'",
         _DAILY | {
             "filters": [where("ts", "TEMPORAL_RANGE", "2024-01-01 : ")],
             "extras": {"where": "id % 3 = 0"},
             "post_processing": [_PIVOT, step("resample", method="asfreq", rule="1D", fill_value=0),
                                 _FLATTEN]}),
    Case("a box plot",
         "select level, avg(n) as n__mean, median(n) as n__median, min(n) as n__min, "
         "max(n) as n__max, quantile_cont(n, 0.25) as n__q1, quantile_cont(n, 0.75) as n__q3 "
         "from (select level, place, sum(amount)::double as n from t group by all) group by 1",
         {"columns": ["level", "place"],
          "metrics": [{**TOTAL, "sqlExpression": "sum(amount)", "label": "n"}],
          "post_processing": [step("boxplot", groupby=["level"], metrics=["n"],
                                   whisker_type="min/max")]}),
    Case("a histogram",
         "select level, count(*) filter (ratio < 125) as a, count(*) filter (ratio >= 125) as b "
         "from t group by 1",
         {"columns": ["level", "ratio", "id"], "metrics": [], "post_processing": [
             step("histogram", column="ratio", groupby=["level"], bins=2),
             step("rename", columns={"0.25 - 125.0": "a", "125.0 - 249.75": "b"})]}),
    Case("the ranks of a heat map",
         ", g as (select level, place, count(ratio) as m from t group by all) "
         "select level, place, m, (rank() over (order by m) + (count(*) over (partition by m) - 1) "
         "/ 2) / count(*) over () as rank from g",
         {"columns": ["level", "place"], "metrics": [simple("COUNT", "ratio")],
          "post_processing": [step("rank", metric="m")]}),
    Case("sums of groups",
         "select level, count(*) as total from t group by 1",
         {"columns": ["level", "place"], "metrics": [COUNT], "post_processing": [
             step("aggregate", groupby=["level"],
                  aggregates={"total": {"operator": "sum", "column": "n"}})]}),
    Case("samples", "select id, tiny, amount, place, flag, ts from t", {}, kind="samples"),
    Case("drill to detail", "select id, place, day from t where level = 'low'",
         {"filters": [where("level", "==", "low")]}, kind="drill_detail"),
]  # fmt: skip
