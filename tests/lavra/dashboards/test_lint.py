"""The form and its lint: every fault is named with its file and field, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lavra.dashboards.bundle import BundleCompiler
from lavra.dashboards.form import Dashboard, in_language, load_assets, parse
from lavra.dashboards.gold import Column, Gold, GoldTable
from lavra.dashboards.lint import lint
from lavra.errors import DashboardError

CHART = """
title: Revenue
type: line
dataset: orders
metrics: [revenue]
x: day
grain: month
"""
DASHBOARD = """
title: {en: Shop, pt_BR: Loja}
refresh_s: 30
filters:
  - {name: State, dataset: orders, column: state}
  - {name: Period, type: time, default: Last quarter}
rows:
  - charts: {revenue: 8}
  - text: "## Hello"
"""
METRICS = """
tables:
  orders:
    columns: {state: {en: State, pt_BR: Estado}}
    metrics:
      - {name: revenue, expression: sum(amount), format: ",.0f"}
"""


@pytest.fixture
def gold() -> Gold:
    """One table of orders."""
    types = {"day": "DATE", "state": "TEXT", "amount": "DECIMAL(18, 2)"}
    columns = {name: Column(name, kind, f"The {name}.") for name, kind in types.items()}
    return Gold([GoldTable("gold_shop", "orders", columns)])


@pytest.fixture
def assets_project(project: Path) -> Path:
    """A project with one chart, one dashboard and one metric, all of them right."""
    write(project, "superset/assets/charts/shop/revenue.yaml", CHART)
    write(project, "superset/assets/dashboards/shop.yaml", DASHBOARD)
    write(project, "sqlmesh_project/models/gold/shop/metrics.yaml", METRICS)
    return project


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_what_is_right_passes(assets_project: Path, gold: Gold) -> None:
    assets, found, problems = lint(assets_project, gold)
    assert problems == []
    assert list(assets.charts) == ["revenue"]
    assert list(found.tables["gold_shop.orders"].metrics) == ["revenue"]


def test_an_empty_project_passes(project: Path) -> None:
    assets, _, problems = lint(project, Gold(()))
    assert (assets.charts, assets.dashboards, problems) == ({}, {}, [])


CHARTS = "superset/assets/charts/shop/revenue.yaml"
BOARD = "superset/assets/dashboards/shop.yaml"
METRIC = "sqlmesh_project/models/gold/shop/metrics.yaml"


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (CHARTS, "dataset: orders", "dataset: order", "dataset: there is no Gold model order"),
        (CHARTS, "[revenue]", "[profit]", "metrics: there is no metric profit of gold_shop.orders"),
        (CHARTS, "x: day", "x: dy", "x: there is no column dy in gold_shop.orders"),
        (CHARTS, "x: day", "x: state", "grain: state is no column of time"),
        (CHARTS, "grain: month", "grain: moon", "grain: Input should be"),
        (CHARTS, "grain: month", "grian: month", "grian: no such field"),
        (CHARTS, "x: day", "by: [state]", "a line chart needs x"),
        (CHARTS, "grain: month", "where: [stat = 1]", "where.0: there is no column stat"),
        (CHARTS, "grain: month", "where: ['(']", "where.0: it does not parse"),
        (CHARTS, "title: Revenue", "title: [", "line "),
        (BOARD, "revenue: 8", "revenu: 8", "rows.0.charts: there is no chart revenu"),
        (BOARD, "revenue: 8", "revenue: 13", "rows.0.charts.revenue: Input should be less"),
        (BOARD, "column: state", "column: stat", "filters.0.column: there is no column stat"),
        (BOARD, "dataset: orders", "dataset: o", "filters.0.dataset: there is no Gold model o"),
        (BOARD, "type: time", "type: tim", "filters.1.type: Input should be"),
        (METRIC, "sum(amount)", "sum(amont)", "revenue.expression: there is no column amont"),
        (METRIC, "sum(amount)", "sum(", "revenue.expression: it does not parse"),
        (METRIC, "  orders:", "  order:", "tables.order: there is no model gold_shop.order"),
        (METRIC, "{state:", "{stat:", "orders.columns: there is no column stat in gold_"),
        (METRIC, "format:", "fromat:", "fromat: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_each_fault_is_named(  # noqa: PLR0917 - a table of cases
    assets_project: Path, gold: Gold, path: str, old: str, new: str, expected: str
) -> None:
    file = assets_project / path
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    problems = lint(assets_project, gold)[2]
    assert any(line.startswith(f"{path}: ") and expected in line for line in problems), problems


def test_names_and_titles_are_unique(assets_project: Path, gold: Gold) -> None:
    write(assets_project, "superset/assets/charts/revenue.yaml", CHART)
    write(assets_project, "superset/assets/charts/other.yaml", CHART)
    write(assets_project, "superset/assets/charts/Not-A-Name.yaml", CHART)
    problems = "\n".join(lint(assets_project, gold)[2])
    assert "has the same name" in problems
    assert "title:" in problems
    assert "Not-A-Name.yaml: a file's name" in problems


def test_a_short_name_of_two_tables_is_refused(assets_project: Path, gold: Gold) -> None:
    table = gold.tables["gold_shop.orders"]
    both = Gold([table, GoldTable("gold_other", "orders", table.columns)])
    problems = lint(assets_project, both)[2]
    assert any("write gold_other.orders or gold_shop.orders" in line for line in problems)


def test_rows_of_a_dashboard_must_fit() -> None:
    with pytest.raises(DashboardError, match="the widths add up to 13"):
        parse("title: A\nrows: [{charts: {a: 6, b: 7}}]", Dashboard)


def test_the_bundle_is_stable_and_consistent(assets_project: Path, gold: Gold) -> None:
    assets, gold, _ = lint(assets_project, gold)
    uri = "lavra://localhost:1/prod"
    files = BundleCompiler(assets, gold, uri=uri, locale="pt_BR").files()
    assert files == BundleCompiler(assets, gold, uri=uri, locale="pt_BR").files()
    read = {path: yaml.safe_load(text) for path, text in files.items()}
    dataset = read["datasets/lavra/gold_shop.orders.yaml"]
    chart, board = read["charts/revenue.yaml"], read["dashboards/shop.yaml"]
    assert chart["dataset_uuid"] == dataset["uuid"]
    assert dataset["database_uuid"] == read["databases/lavra.yaml"]["uuid"]
    assert board["dashboard_title"] == "Loja"
    assert board["position"]["CHART-revenue"]["meta"]["uuid"] == chart["uuid"]
    target = board["metadata"]["native_filter_configuration"][0]["targets"][0]
    assert target == {"datasetUuid": dataset["uuid"], "column": {"name": "state"}}
    assert [c["type"] for c in dataset["columns"]] == ["DATE", "VARCHAR", "DECIMAL(18, 2)"]
    assert dataset["columns"][0]["description"] == "The day."
    assert [c["verbose_name"] for c in dataset["columns"]] == ["Day", "Estado", "Amount"]
    assert dataset["metrics"][0]["d3format"] == ",.0f"
    for node in board["position"].values():
        if isinstance(node, dict):
            assert all(child in board["position"] for child in node.get("children", ()))


def test_another_environment_shares_no_identity(assets_project: Path, gold: Gold) -> None:
    assets, gold, _ = lint(assets_project, gold)

    def uuids(environment: str) -> set[str]:
        compiler = BundleCompiler(assets, gold, uri="lavra://h/x", environment=environment)
        read = [yaml.safe_load(text) for text in compiler.files().values()]
        return {item["uuid"] for item in read if "uuid" in item}

    # A chart, a dashboard, a table and the database; how fresh it is, and the table of that.
    assert len(uuids("prod")) == 6
    assert not uuids("prod") & uuids("dev")


def test_the_shipped_dashboards_load() -> None:
    assets, problems = load_assets(Path(__file__).parents[3])
    assert problems == []
    for slug, dashboard in assets.dashboards.items():
        assert set(dashboard.charts) <= set(assets.charts), slug
        assert len(dashboard.charts) >= 8, slug
        for name in dashboard.charts:
            assert in_language(assets.charts[name].title, "pt_BR")
