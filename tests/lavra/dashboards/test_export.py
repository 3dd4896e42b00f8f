"""From Superset's state back to our files: what was edited, and nothing else."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lavra.dashboards.bundle import BundleCompiler
from lavra.dashboards.drift import State, changes
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
        assert chart.options == {}


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
    position["COLUMN-1"] = {"id": "COLUMN-1", "type": "COLUMN", "children": [], "meta": {}}
    position["ROW-2"]["children"].append("COLUMN-1")
    done = run(loaded, imported, now)
    assert done.files == {}
    assert [note.split(": ")[0] for note in done.notes] == [CHARTS, BOARD]
    del now[CHART_KEY]
    assert "was deleted in Superset" in run(loaded, imported, now).notes[0]


def test_tabs_made_in_the_editor(
    loaded: tuple[Assets, Gold], imported: dict[str, dict[str, Any]]
) -> None:
    now = deepcopy(imported)
    position = now[BOARD_KEY]["position"]
    # As the editor does it: tabs take the place of the grid, with the rows in them.
    rows = position["GRID_ID"]["children"]
    position |= {
        "TABS-x": {"id": "TABS-x", "type": "TABS", "children": ["TAB-a", "TAB-b"], "meta": {}},
        "TAB-a": {"id": "TAB-a", "type": "TAB", "children": rows[:2], "meta": {"text": "Money"}},
        "TAB-b": {"id": "TAB-b", "type": "TAB", "children": rows[2:],
                  "meta": {"defaultText": "Tab title"}},
    }  # fmt: skip
    position["ROOT_ID"]["children"] = ["TABS-x"]
    position["GRID_ID"]["children"] = []
    done = run(loaded, imported, now)
    board = parse(done.files[Path(BOARD)], Dashboard)
    assert board.rows == []
    assert [tab.title for tab in board.tabs] == ["Money", "Tab title"]
    assert [row.charts for tab in board.tabs for row in tab.rows] == [{"revenue": 8}, {}]

    # What is imported from that file is what would be exported: nothing more to write.
    assets, gold = loaded
    again = replace(assets, dashboards={"shop": board})
    compiled = yaml.safe_load(
        BundleCompiler(again, gold, uri="lavra://h/prod").files()["dashboards/shop.yaml"]
    )
    now = {BOARD_KEY: imported[BOARD_KEY] | {"position": compiled["position"]}}
    assert export(State(now, now, None), again, gold, "en").files == {}
    touched = deepcopy(now)
    touched[BOARD_KEY]["position"]["TAB-1"]["meta"]["text"] = "Cash"
    done = export(State(now, touched, None), again, gold, "en")
    board = parse(done.files[Path(BOARD)], Dashboard)
    assert [tab.title for tab in board.tabs] == ["Cash", "Tab title"]
    assert board.tabs[1] == again.dashboards["shop"].tabs[1]


EDITORS_CHART = {
    "viz_type": "echarts_timeseries_bar", "x_axis": "day", "time_grain_sqla": "P1W",
    "metrics": [{"expressionType": "SIMPLE", "column": {"column_name": "amount"},
                 "aggregate": "SUM", "label": "SUM(amount)"}],
    "groupby": ["state"], "row_limit": 10_000, "order_desc": True, "truncate_metric": True,
    "adhoc_filters": [{"clause": "WHERE", "expressionType": "SIMPLE", "subject": "day",
                       "operator": "TEMPORAL_RANGE", "comparator": "Last quarter"}],
    "show_legend": True, "rich_tooltip": True, "x_axis_title_margin": 15, "zoomable": False,
    "extra_form_data": {}, "annotation_layers": [], "y_axis_title": "Reais",
}  # fmt: skip


def _with_new_chart(
    imported: dict[str, dict[str, Any]], params: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    now = deepcopy(imported)
    dataset = now[CHART_KEY]["dataset"]
    now["new_charts 1-2-3"] = {
        "title": "Receita por São Paulo", "description": None, "dataset": dataset,
        "viz_type": params["viz_type"], "params": params,
    }  # fmt: skip
    position = now[BOARD_KEY]["position"]
    meta = position["CHART-revenue"]["meta"] | {"uuid": "1-2-3", "width": 4}
    position["CHART-ui"] = {"id": "CHART-ui", "type": "CHART", "children": [], "meta": meta}
    position["ROW-2"]["children"].append("CHART-ui")
    return now


def test_a_chart_saved_as_another_stands_below_the_others(
    loaded: tuple[Assets, Gold], imported: dict[str, dict[str, Any]]
) -> None:
    now = deepcopy(imported)
    # What "Save as" writes: the chart is the dashboard's, whose layout nobody saved.
    noise = {"matrixify_enable": False, "matrixify_topn_value_rows": 10, "echart_options": "{}"}
    now["new_charts 1-2-3"] = now[CHART_KEY] | {
        "title": "A copy", "params": now[CHART_KEY]["params"] | noise,
        "dashboards": [dashboard_uuid("shop")],
    }  # fmt: skip
    done = run(loaded, imported, now)
    copy = parse(done.files[Path("superset/assets/charts/a_copy.yaml")], Chart)
    assert copy.options == {}
    assert copy.format is None
    rows = parse(done.files[Path(BOARD)], Dashboard).rows
    assert rows[-1].charts == {"a_copy": 6}
    assert rows[:-1] == loaded[0].dashboards["shop"].rows
    assert [change.field for change in changes(State(imported, now, None))] == ["new"]


def test_a_chart_made_in_the_editor_and_put_on_a_dashboard(
    loaded: tuple[Assets, Gold], imported: dict[str, dict[str, Any]]
) -> None:
    done = run(loaded, imported, _with_new_chart(imported, EDITORS_CHART))
    file = Path("superset/assets/charts/receita_por_sao_paulo.yaml")
    assert done.files[file].splitlines() == [
        "title: Receita por São Paulo", "type: bar", "dataset: orders", "metrics: [revenue]",
        "x: day", "grain: week", "by: [state]", "period: Last quarter", "limit: 10000",
        "options: {y_axis_title: Reais}",
    ]  # fmt: skip
    board = parse(done.files[Path(BOARD)], Dashboard)
    assert board.rows[0].charts == {"revenue": 8, "receita_por_sao_paulo": 4}

    # Imported, it is what the file says: there is nothing more to write.
    assets, gold = loaded
    chart = parse(done.files[file], Chart)
    again = replace(
        assets,
        charts={**assets.charts, "receita_por_sao_paulo": chart},
        dashboards={"shop": board},
        files={**assets.files, ("charts", "receita_por_sao_paulo"): file},
    )
    compiler = BundleCompiler(again, gold, uri="lavra://h/prod")
    compiled = yaml.safe_load(compiler.files()["charts/receita_por_sao_paulo.yaml"])
    key = f"charts {chart_uuid('receita_por_sao_paulo')}"
    now = {key: {"title": chart.title, "description": None, "viz_type": compiled["viz_type"],
                 "dataset": compiled["dataset_uuid"], "params": compiled["params"]}}  # fmt: skip
    assert export(State(now, now, None), again, gold, "en").files == {}
    assert compiled["params"]["y_axis_title"] == "Reais"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"viz_type": "world_map"}, "there is no form of world_map"),
        (
            {
                "metrics": [
                    {"expressionType": "SQL", "sqlExpression": "max(amount)", "label": "Top"}
                ]
            },
            "Top is no metric of gold_shop.orders; define it in metrics.yaml",
        ),
    ],
)
def test_a_new_chart_without_a_form_is_said(
    loaded: tuple[Assets, Gold],
    imported: dict[str, dict[str, Any]],
    change: dict[str, Any],
    expected: str,
) -> None:
    done = run(loaded, imported, _with_new_chart(imported, EDITORS_CHART | change))
    assert done.files == {}
    assert expected in done.notes[0]
    assert "none of ours" in done.notes[1]


def test_the_shipped_files_survive_writing_and_reading() -> None:
    assets, _ = load_assets(Path(__file__).parents[3])
    for chart in assets.charts.values():
        assert parse(to_yaml(chart), Chart) == chart
    for dashboard in assets.dashboards.values():
        assert parse(to_yaml(dashboard), Dashboard) == dashboard
