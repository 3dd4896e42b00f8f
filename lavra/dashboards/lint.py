"""What can be wrong with dashboards, found without any server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lavra.access import record
from lavra.dashboards.access_record import with_record
from lavra.dashboards.form import Assets, Chart, load_assets
from lavra.dashboards.gold import Gold, GoldTable, unknown_columns
from lavra.dashboards.roles import ADMIN, ROLES, load_roles
from lavra.errors import DashboardError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def lint(
    project: Path, gold: Gold, left_out: Collection[str] = ()
) -> tuple[Assets, Gold, list[str]]:
    """Check every chart, dashboard and metric of a project against its Gold tables.

    Args:
        project: The folder of ``lavra.toml``.
        gold: The tables, without metrics.
        left_out: Domains that are left out.

    Returns:
        The assets, the tables with their metrics, and the problems, each with file and field.
    """
    assets, problems = load_assets(project, left_out)
    gold, more = gold.with_metrics(project, left_out)
    problems += more
    if any(chart.dataset in {record.NAME, record.TABLE} for chart in assets.charts.values()):
        gold = with_record(gold)
    roles, more = _roles(project)
    problems += more
    titles: dict[str, str] = {}
    for name, chart in assets.charts.items():
        shown = str(assets.files["charts", name])
        problems += [f"{shown}: {problem}" for problem in _of_chart(chart, gold)]
        title = str(chart.title)
        if title in titles:
            problems.append(f"{shown}: title: {titles[title]} has the same")
        titles[title] = shown
    for slug, dashboard in assets.dashboards.items():
        shown = str(assets.files["dashboards", slug])
        problems += [
            f"{shown}: roles: there is no role {name} in {ROLES}"
            for name in dashboard.roles
            if name != ADMIN and name not in roles
        ]
        for place, row in dashboard.places:
            problems += [
                f"{shown}: {place}.charts: there is no chart {name}"
                for name in row.charts
                if name not in assets.charts
            ]
        for number, item in enumerate(dashboard.filters):
            where = f"{shown}: filters.{number}"
            table = gold.find(item.dataset) if item.dataset else None
            if item.dataset and table is None:
                problems.append(f"{where}.dataset: {_no_table(item.dataset, gold)}")
            elif table and item.column and item.column not in table.columns:
                problems.append(f"{where}.column: {_no_column(item.column, table)}")
    return assets, gold, problems


def _roles(project: Path) -> tuple[set[str], list[str]]:
    try:
        return set(load_roles(project).roles), []
    except DashboardError as error:
        return set(), error.message.split("\n")


def _of_chart(chart: Chart, gold: Gold) -> list[str]:
    table = gold.find(chart.dataset)
    if table is None:
        return [f"dataset: {_no_table(chart.dataset, gold)}"]
    problems = [
        f"metrics: there is no metric {name} of {table.full_name}; its metrics.yaml has: "
        f"{', '.join(table.metrics) or 'none'}"
        for name in chart.metrics
        if name not in table.metrics
    ]
    named = [
        *(("x", name) for name in ([chart.x] if chart.x else [])),
        *(("by", name) for name in chart.by),
        *(("columns", name) for name in chart.columns),
        *(("sort", name.lstrip("-")) for name in chart.sort),
    ]
    problems += [
        f"{where}: {_no_column(name, table)}" for where, name in named if name not in table.columns
    ]
    if chart.grain and chart.x in table.columns and not table.columns[chart.x].is_time:
        problems.append(f"grain: {chart.x} is no column of time")
    for number, sql in enumerate(chart.where):
        problems += [f"where.{number}: {problem}" for problem in unknown_columns(sql, table)]
    return problems


def _no_table(name: str, gold: Gold) -> str:
    same = sorted(full for full in gold.tables if full.endswith(f".{name}"))
    if same:
        return f"{name} is not unique: write {' or '.join(same)}"
    return f"there is no Gold model {name}"


def _no_column(name: str, table: GoldTable) -> str:
    return f"there is no column {name} in {table.full_name}"
