"""From Superset's state back to our files: what was edited, and nothing else."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from lavra.dashboards.bundle import BundleCompiler
from lavra.dashboards.drift import State
from lavra.dashboards.export import Exported, export, to_yaml
from lavra.dashboards.form import Assets, Chart, Dashboard, load_assets, parse
from lavra.dashboards.gold import Column, Gold, GoldTable
from lavra.dashboards.identity import chart_uuid, dashboard_uuid
from lavra.dashboards.lint import lint
from tests.lavra.dashboards.test_lint import BOARD, CHART, CHARTS, DASHBOARD, METRIC, METRICS, write

CHART_KEY = f"charts {chart_uuid('revenue')}"
BOARD_KEY = f"dashboards {dashboard_uuid('shop')}"


@pytest.fixture
def loaded(project: Path) -> tuple[Assets, Gold]:
    """A project's assets and tables."""
    types = {"day": "DATE", "state": "TEXT", "amount": "DECIMAL(18, 2)"}
    columns = {name: Column(name, kind) for name, kind in types.items()}
    write(project, CHARTS, CHART)
    write(project, BOARD, DASHBOARD)
    write(project, METRIC, METRICS)
    assets, gold, problems = lint(project, Gold([GoldTable("gold_shop", "orders", columns)]))
    assert problems == []
    return assets, gold


@pytest.fixture
def imported(loaded: tuple[Assets, Gold]) -> dict[str, dict[str, Any]]:
    """What Superset holds right after an import."""
    files = BundleCompiler(*loaded, uri="lavra://h/prod").files()
    chart = yaml.safe_load(files["charts/revenue.yaml"])
    board = yaml.safe_load(files["dashboards/shop.yaml"])
    for item in board["metadata"]["native_filter_configuration"]:
        for target in item["targets"]:
            if "datasetUuid" in target:
                target["dataset"] = target.pop("datasetUuid")
    return {
        CHART_KEY: {
            "title": chart["slice_name"], "description": None, "viz_type": chart["viz_type"],
            "dataset": chart["dataset_uuid"], "params": chart["params"],
        },
        BOARD_KEY: {
            "title": board["dashboard_title"], "description": None,
            "metadata": board["metadata"], "position": board["position"],
        },
    }  # fmt: skip


def run(
    loaded: tuple[Assets, Gold], imported: dict[str, dict[str, Any]], now: dict[str, Any]
) -> Exported:
    return export(State(imported, now, None), *loaded, "en")


def test_nothing_edited_writes_nothing(
    loaded: tuple[Assets, Gold], imported: dict[str, dict[str, Any]]
) -> None:
    assert run(loaded, imported, deepcopy(imported)) == Exported()


@pytest.mark.parametrize(
    ("param", "value", "field", "expected"),
    [
        ("time_grain_sqla", "P1W", "grain", "week"),
        ("groupby", ["state"], "by", ["state"]),
        ("row_limit", 50, "limit", 50),
        ("y_axis_format", ".2f", "format", ".2f"),
        ("rich_tooltip", False, "options", {"rich_tooltip": False}),
        ("time_grain_sqla", "PT5M", "options", {"time_grain_sqla": "PT5M"}),
        (
            "adhoc_filters",
            [
                {"clause": "WHERE", "expressionType": "SIMPLE", "subject": "state",
                 "operator": "IN", "comparator": ["SP", "D'Oeste"]},
                {"clause": "WHERE", "expressionType": "SQL", "sqlExpression": "amount > 5"},
                {"clause": "WHERE", "expressionType": "SIMPLE", "subject": "day",
                 "operator": "TEMPORAL_RANGE", "comparator": "Last quarter"},
            ],
            "where",
            ["state in ('SP', 'D''Oeste')", "amount > 5"],
        ),
    ],
)  # fmt: skip
def test_an_edited_chart(  # noqa: PLR0917 - a table of cases
    loaded: tuple[Assets, Gold],
    imported: dict[str, dict[str, Any]],
    param: str,
    value: Any,
    field: str,
    expected: Any,
) -> None:
    now = deepcopy(imported)
    now[CHART_KEY]["params"][param] = value
    now[CHART_KEY]["title"] = "New"
    done = run(loaded, imported, now)
    assert list(done.files) == [Path(CHARTS)]
    chart = parse(done.files[Path(CHARTS)], Chart)
    assert chart.title == "New"
    assert getattr(chart, field) == expected
    if field == "where":
        assert chart.period == "Last quarter"


def test_an_edited_dashboard(
    loaded: tuple[Assets, Gold], imported: dict[str, dict[str, Any]]
) -> None:
    now = deepcopy(imported)
    board = now[BOARD_KEY]
    board["title"] = "Store"
    board["metadata"]["refresh_frequency"] = 300
    board["metadata"]["native_filter_configuration"][1]["name"] = "When"
    board["position"]["GRID_ID"]["children"].reverse()
    board["position"]["CHART-revenue"]["meta"] |= {"width": 5, "height": 70}
    done = run(loaded, imported, now)
    new = parse(done.files[Path(BOARD)], Dashboard)
    assert new.title == {"en": "Store", "pt_BR": "Loja"}
    assert new.refresh_s == 300
    assert [row.charts for row in new.rows] == [{}, {"revenue": 5}]
    assert new.rows[1].height == 70
    assert [item.name for item in new.filters] == ["State", "When"]
    assert new.filters[1].default == "Last quarter"


def test_what_has_no_form_is_said(
    loaded: tuple[Assets, Gold], imported: dict[str, dict[str, Any]]
) -> None:
    now = deepcopy(imported)
    now[CHART_KEY]["viz_type"] = "mixed_timeseries"
    position = now[BOARD_KEY]["position"]
    position["TABS-1"] = {"id": "TABS-1", "type": "TABS", "children": [], "meta": {}}
    position["GRID_ID"]["children"].append("TABS-1")
    done = run(loaded, imported, now)
    assert done.files == {}
    assert [note.split(": ")[0] for note in done.notes] == [CHARTS, BOARD]
    del now[CHART_KEY]
    assert "was deleted in Superset" in run(loaded, imported, now).notes[0]


def test_the_shipped_files_survive_writing_and_reading() -> None:
    assets, _ = load_assets(Path(__file__).parents[3])
    for chart in assets.charts.values():
        assert parse(to_yaml(chart), Chart) == chart
    for dashboard in assets.dashboards.values():
        assert parse(to_yaml(dashboard), Dashboard) == dashboard
