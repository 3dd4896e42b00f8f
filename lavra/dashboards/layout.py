"""From rows of chart names to the tree of boxes in which Superset keeps a layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lavra.dashboards.chart_types import DEFAULT_HEIGHT, HEIGHTS
from lavra.dashboards.form import GRID_COLUMNS, Chart, Dashboard, Row, in_language
from lavra.dashboards.identity import chart_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

_GRID_PARENTS = ["ROOT_ID", "GRID_ID"]


def position(
    dashboard: Dashboard, charts: Mapping[str, Chart], *, locale: str, environment: str
) -> dict[str, Any]:
    """Return Superset's ``position`` of a dashboard.

    Args:
        dashboard: Its rows name charts.
        charts: All charts by name.
        locale: The language of the titles.
        environment: The SQLMesh environment whose charts are meant.
    """
    tree: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
        "GRID_ID": {"id": "GRID_ID", "type": "GRID", "parents": ["ROOT_ID"], "children": []},
        "HEADER_ID": {
            "id": "HEADER_ID",
            "type": "HEADER",
            "meta": {"text": in_language(dashboard.title, locale)},
        },
    }
    placeholder = 0
    for number, row in enumerate(dashboard.rows, start=1):
        row_id = f"ROW-{number}"
        tree["GRID_ID"]["children"].append(row_id)
        children = []
        if row.text:
            child = _markdown(number, row, locale)
            tree[child["id"]] = child
            children.append(child["id"])
        for name, width in row.charts.items():
            placeholder += 1
            chart_id = f"CHART-{name}" + (f"-{placeholder}" if f"CHART-{name}" in tree else "")
            tree[chart_id] = {
                "id": chart_id,
                "type": "CHART",
                "children": [],
                "parents": [*_GRID_PARENTS, row_id],
                "meta": {
                    "uuid": chart_uuid(name, environment),
                    "chartId": placeholder,
                    "sliceName": in_language(charts[name].title, locale),
                    "width": width,
                    "height": row.height or row_height(row, charts),
                },
            }
            children.append(chart_id)
        tree[row_id] = {
            "id": row_id,
            "type": "ROW",
            "children": children,
            "parents": _GRID_PARENTS,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
    return tree


def _markdown(number: int, row: Row, locale: str) -> dict[str, Any]:
    text = in_language(row.text, locale)
    return {
        "id": f"MARKDOWN-{number}",
        "type": "MARKDOWN",
        "children": [],
        "parents": [*_GRID_PARENTS, f"ROW-{number}"],
        "meta": {
            "code": text,
            "width": GRID_COLUMNS,
            "height": row.height or 6 + 3 * text.count("\n"),
        },
    }


def row_height(row: Row, charts: Mapping[str, Chart]) -> int:
    """Return a row's height when it states none: that of its highest kind of chart."""
    return max(HEIGHTS.get(charts[name].type, DEFAULT_HEIGHT) for name in row.charts)
