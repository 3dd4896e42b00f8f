"""The metrics, charts and dashboard of a new project.

Numbers become KPIs, a time column a line, a category bars, and the rows themselves a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lavra.landing import types
from lavra.scaffold import naming
from lavra.scaffold.layers import row_key
from lavra.scaffold.plan import Mart, Measure, Rollup, TablePlan
from lavra.scaffold.profile import ColumnProfile
from lavra.scaffold.roles import Aggregate, Role
from lavra.scaffold.templating import FlowMap, to_yaml

_LONGEST_NAME = 70  # the form takes 80; a number may follow
_MOST_KPIS = 4
_MOST_FILTERS = 3
_TABLE_COLUMNS = 8
_TABLE_ROWS = 50
_BARS = 15
_UPRIGHT_BARS = 6
_SERIES = 8
_TEXT_HEIGHT = 10  # the form's units; less cuts a heading off
_POINTS = 50_000  # the most that the form takes
_LOG_FROM = 1000  # a range wider than this is read on a logarithmic axis
_WIDTHS = {1: 4, 2: 6, 3: 4, 4: 3}

Fields = dict[str, Any]


@dataclass
class _Assets:
    """What has been written so far; names and titles are unique in a lake."""

    charts: dict[str, Fields] = field(default_factory=dict)
    titles: set[str] = field(default_factory=set)

    def add(self, plan: TablePlan, name: str, chart: Fields) -> str:
        name = naming.unique(f"{plan.name}_{name}"[:_LONGEST_NAME].rstrip("_"), self.charts)
        title = chart["title"]
        if title in self.titles:
            title = f"{title} ({plan.name})"
        while title in self.titles:
            title += "'"
        self.titles.add(title)
        self.charts[name] = chart | {"title": title}
        return name


def dashboard_files(plans: Sequence[TablePlan], name: str, title: str) -> dict[str, str]:
    """Return the texts of the metrics, the charts and the dashboard, by path in the project.

    Args:
        plans: What is made of each file.
        name: The project's name: the domain of its models, the dashboard's address.
        title: The dashboard's title.
    """
    assets = _Assets()
    rows: list[Fields] = []
    for plan in plans:
        if len(plans) > 1:
            rows.append({"text": f"## {plan.label}", "height": _TEXT_HEIGHT})
        rows += [{"charts": FlowMap(row)} for row in _rows(plan, assets)]
    dashboard: Fields = {"title": title, "refresh_s": 60}
    if filters := list(_filters(plans)):
        dashboard["filters"] = filters
    dashboard["rows"] = rows
    tables = {
        table: {"metrics": metrics} for plan in plans for table, metrics in _metrics(plan).items()
    }
    return {
        f"sqlmesh_project/models/gold/{name}/metrics.yaml": to_yaml({"tables": tables}),
        f"superset/assets/dashboards/{name}.yaml": to_yaml(dashboard),
        **{
            f"superset/assets/charts/{name}/{chart}.yaml": to_yaml(fields)
            for chart, fields in assets.charts.items()
        },
    }


def _metrics(plan: TablePlan) -> dict[str, list[Fields]]:
    """Return the metrics of each Gold table of a file."""
    detail = [_metric(plan.row_count, "count(*)", plan.label, ",d")]
    for measure in plan.measures:
        column = plan.profile.column(measure.column)
        function = "sum" if measure.aggregate is Aggregate.SUM else "avg"
        detail.append(
            _metric(
                measure.name,
                f"{function}({column.name})",
                _title(plan, measure),
                _format(column, measure),
            )
        )
    detail += [
        _metric(name, f"count(distinct {column.name})", _distinct_title(plan, column), ",d")
        for name, column in _distinct(plan)
    ]
    tables = {plan.name: detail}
    grouped = [plan.mart.name] if plan.mart else []
    grouped += [rollup.name for rollup in plan.rollups]
    return tables | {name: _grouped_metrics(plan) for name in grouped}


def _grouped_metrics(plan: TablePlan) -> list[Fields]:
    """Return metrics that stay right over several rows of a mart or rollup."""
    metrics = [_metric(plan.row_count, f"sum({plan.row_count})", plan.label, ",d")]
    for measure in plan.measures:
        expression = f"sum({measure.name})"
        if measure.aggregate is Aggregate.AVERAGE:
            weighted = f"sum({measure.name} * {measure.weight})"
            expression = f"{weighted} / nullif(sum({measure.weight}), 0)"
        form = _format(plan.profile.column(measure.column), measure)
        metrics.append(_metric(measure.name, expression, _title(plan, measure), form))
    return metrics


def _metric(name: str, expression: str, title: str, form: str) -> Fields:
    return {"name": name, "expression": expression, "title": title, "format": form}


def _title(plan: TablePlan, measure: Measure) -> str:
    word = "Total" if measure.aggregate is Aggregate.SUM else "Average"
    return f"{word} {plan.label_of(measure.column).removeprefix('total ')}"


def _format(column: ColumnProfile, measure: Measure) -> str:
    if measure.aggregate is Aggregate.SUM and column.type.name == types.INTEGER:
        return ",d"
    small = max(abs(column.minimum), abs(column.maximum)) < 10
    return ",.4~f" if small else ",.2~f"


def _distinct(plan: TablePlan) -> list[tuple[str, ColumnProfile]]:
    """Return what a file without quantities can be counted by: its repeated texts."""
    if plan.measures:
        return []
    taken = [column.name for column in plan.profile.columns] + [plan.row_count]
    return [
        (naming.unique(f"{column.name}_count", taken), column)
        for column in plan.profile.columns
        if column.is_text
        and plan.roles[column.name] in {Role.CATEGORY, Role.TEXT}
        and 1 < column.distinct < plan.profile.rows
    ][: _MOST_KPIS - 1]


def _distinct_title(plan: TablePlan, column: ColumnProfile) -> str:
    return f"Different {naming.plural(plan.label_of(column.name))}"


def _rows(plan: TablePlan, assets: _Assets) -> Iterator[dict[str, int]]:
    """Yield the rows of the grid for one file."""
    numbers = [assets.add(plan, name, chart) for name, chart in _kpis(plan)]
    yield dict.fromkeys(numbers, _WIDTHS[len(numbers)])
    pictures = [assets.add(plan, name, chart) for name, chart in _pictures(plan)]
    table = assets.add(plan, "rows", _table(plan))
    if plan.mart and len(pictures) > 1:
        yield {pictures[0]: 8, pictures[1]: 4}
        pictures = pictures[2:]
    elif plan.mart or len(pictures) > 1:
        yield dict.fromkeys(pictures, 12 // len(pictures))
        pictures = []
    yield {pictures[0]: 5, table: 7} if pictures else {table: 12}


def _kpis(plan: TablePlan) -> Iterator[tuple[str, Fields]]:
    shown = [(plan.row_count, plan.label)]
    shown += [(measure.name, _title(plan, measure)) for measure in plan.measures]
    shown += [(name, _distinct_title(plan, column)) for name, column in _distinct(plan)]
    for metric, title in shown[:_MOST_KPIS]:
        yield (
            metric,
            {"title": title, "type": "kpi", "dataset": plan.name, "metrics": [metric]},
        )


def _pictures(plan: TablePlan) -> Iterator[tuple[str, Fields]]:
    if plan.mart:
        yield f"by_{plan.mart.unit}", _line(plan, plan.mart)
    for number, rollup in enumerate(plan.rollups):
        # Things are counted; what happens in time is measured.
        first = plan.mart is not None or number > 0
        metric = plan.measures[0] if plan.measures and first else None
        yield f"by_{rollup.category}", _bars(plan, rollup, metric)


def _line(plan: TablePlan, mart: Mart) -> Fields:
    metric = plan.measures[0] if plan.measures else None
    shown = _title(plan, metric) if metric else plan.label
    split = f" and {plan.label_of(mart.category)}" if mart.category else ""
    chart: Fields = {
        "title": f"{shown} by {mart.unit}{split}",
        "type": "line",
        "dataset": mart.name,
        "metrics": [metric.name if metric else plan.row_count],
        "x": mart.period,
        "grain": mart.unit,
        "limit": _POINTS,
    }
    options: Fields = {}
    if mart.category:
        chart["by"] = [mart.category]
        if plan.profile.column(mart.category).distinct > _SERIES:
            options["limit"] = _SERIES
    if metric and _is_wide(_column(plan, metric)):
        options["logAxis"] = True
    return chart | ({"options": options} if options else {})


def _column(plan: TablePlan, measure: Measure) -> ColumnProfile:
    return plan.profile.column(measure.column)


def _is_wide(column: ColumnProfile) -> bool:
    return bool(column.minimum > 0 and column.maximum / column.minimum > _LOG_FROM)


def _bars(plan: TablePlan, rollup: Rollup, metric: Measure | None) -> Fields:
    shown = _title(plan, metric) if metric else plan.label
    chart: Fields = {
        "title": f"{shown} by {plan.label_of(rollup.category)}",
        "type": "bar",
        "dataset": rollup.name,
        "metrics": [metric.name if metric else plan.row_count],
        "x": rollup.category,
        "limit": _BARS,
    }
    if metric and metric.aggregate is Aggregate.AVERAGE and _is_wide(_column(plan, metric)):
        chart["options"] = {"logAxis": True}
    lying = plan.profile.column(rollup.category).distinct > _UPRIGHT_BARS
    return chart | ({"horizontal": True} if lying else {})


def _table(plan: TablePlan) -> Fields:
    key = list(row_key(plan)) if plan.key else []
    names = [column.name for column in plan.profile.columns if column.distinct]
    names += [here for lookup in plan.lookups for _, here in lookup.columns]
    columns = list(dict.fromkeys([*key, *names]))[:_TABLE_COLUMNS]
    chart: Fields = {
        "title": f"{plan.label}, row by row",
        "type": "table",
        "dataset": plan.name,
        "columns": columns or [row_key(plan)[0]],
    }
    if plan.mart and plan.mart.time in columns:
        chart["title"] = f"Latest {plan.label.lower()}"
        chart["sort"] = [f"-{plan.mart.time}"]
    chart["limit"] = _TABLE_ROWS
    kinds = {column.type.name for column in plan.profile.columns if column.is_temporal}
    if kinds == {types.DATE}:
        chart["options"] = {"table_timestamp_format": "%Y-%m-%d"}
    return chart


def _filters(plans: Sequence[TablePlan]) -> Iterator[Fields]:
    if any(plan.mart for plan in plans):
        yield FlowMap({"name": "Period", "type": "time"})
    columns: dict[str, str] = {}
    for plan in plans:
        for rollup in plan.rollups:
            columns.setdefault(rollup.category, plan.name)
    for column, table in list(columns.items())[:_MOST_FILTERS]:
        yield FlowMap({"name": naming.title(column), "dataset": table, "column": column})
