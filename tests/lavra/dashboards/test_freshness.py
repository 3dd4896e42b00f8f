"""The row that says how fresh a dashboard is: compiled, and answered by the real service."""

from __future__ import annotations

from pathlib import Path

from lavra.dashboards.bundle import BundleCompiler
from lavra.dashboards.form import load_assets
from lavra.dashboards.freshness import system_table
from lavra.dashboards.gold import Column, Gold, GoldTable
from lavra.dashboards.lint import lint
from query_service.engine.system_views import TABLES
from tests.lavra.dashboards.conftest import FAILED_AUDIT, RunningSuperset
from tests.lavra.dashboards.test_lint import BOARD, CHART, CHARTS, DASHBOARD, METRIC, METRICS, write


def test_the_dataset_is_the_services_own_view() -> None:
    table = system_table("en", "UTC")
    assert list(table.columns) == TABLES.names
    assert table.main_time_column == "data_through"


def test_a_dashboard_names_the_tables_that_it_reads_and_no_filter_reaches_the_row(
    project: Path,
) -> None:
    types = {"day": "DATE", "state": "TEXT", "amount": "DECIMAL(18, 2)"}
    columns = {name: Column(name, kind) for name, kind in types.items()}
    write(project, CHARTS, CHART)
    write(project, BOARD, DASHBOARD)
    write(project, METRIC, METRICS)
    tables = [GoldTable("gold_shop", name, columns) for name in ("orders", "unread")]
    assets, gold, problems = lint(project, Gold(tables))
    assert problems == []
    compiler = BundleCompiler(
        assets, gold, uri="lavra://h/prod", locale="pt_BR", time_zone="America/Sao_Paulo"
    )
    files = compiler.files()
    chart = files["charts/_freshness_shop.yaml"]
    assert "'gold_shop.orders'" in chart
    assert "unread" not in chart
    assert "Dados até (America/Sao_Paulo)" in files["datasets/lavra/lavra.tables.yaml"]
    board = compiler.files()["dashboards/shop.yaml"]
    assert board.count("excluded:\n      - 1\n") == len(assets.dashboards["shop"].filters)


def test_a_lake_without_dashboards_gets_none(project: Path) -> None:
    assets, _ = load_assets(project)
    files = BundleCompiler(assets, Gold(()), uri="lavra://h/prod").files()
    assert not [path for path in files if "freshness" in path or "lavra.tables" in path]


def test_the_row_shows_the_snapshots_time_and_the_audits(
    running_superset: RunningSuperset,
) -> None:
    with running_superset.client() as client:
        charts = client.charts_of("commerce")
        chart = next(item for item in charts if item["slice_name"] == "Freshness")
        shown = client.chart_data(chart["id"])["data"][0]
    # Data through the start of 2 January in UTC, which is an evening in the lake's own zone.
    assert shown["data_through_text"] == "20 Dec 2025, 09:00"
    assert shown["checks_failed"] == 1
    assert shown["failing"] == f"fct_orders: {FAILED_AUDIT}"
    assert shown["checks_passed"] >= 1
    assert "2026" in shown["released_text"]
