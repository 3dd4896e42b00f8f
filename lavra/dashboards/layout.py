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
    return _Layout(charts, locale, environment).build(dashboard)


class _Layout:
    def __init__(self, charts: Mapping[str, Chart], locale: str, environment: str) -> None:
        self.charts = charts
        self.locale = locale
        self.environment = environment
        self.tree: dict[str, Any] = {}
        self.rows = 0
        self.placed = 0

    def build(self, dashboard: Dashboard) -> dict[str, Any]:
        self.tree = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
            "GRID_ID": {"id": "GRID_ID", "type": "GRID", "parents": ["ROOT_ID"], "children": []},
            "HEADER_ID": {
                "id": "HEADER_ID",
                "type": "HEADER",
                "meta": {"text": in_language(dashboard.title, self.locale)},
            },
        }
        for row in dashboard.rows:
            self._row(row, _GRID_PARENTS)
        if dashboard.tabs:
            self._node("TABS-1", "TABS", _GRID_PARENTS, {})
        for number, tab in enumerate(dashboard.tabs, start=1):
            parents = [*_GRID_PARENTS, "TABS-1"]
            title = in_language(tab.title, self.locale)
            self._node(f"TAB-{number}", "TAB", parents, {"text": title})
            for row in tab.rows:
                self._row(row, [*parents, f"TAB-{number}"])
        return self.tree

    def _node(self, name: str, kind: str, parents: list[str], meta: dict[str, Any]) -> None:
        self.tree[name] = {
            "id": name, "type": kind, "children": [], "parents": list(parents), "meta": meta,
        }  # fmt: skip
        self.tree[parents[-1]]["children"].append(name)

    def _row(self, row: Row, parents: list[str]) -> None:
        self.rows += 1
        name = f"ROW-{self.rows}"
        self._node(name, "ROW", parents, {"background": "BACKGROUND_TRANSPARENT"})
        within = [*parents, name]
        if row.text:
            text = in_language(row.text, self.locale)
            height = row.height or 6 + 3 * text.count("\n")
            meta: dict[str, Any] = {"code": text, "width": GRID_COLUMNS, "height": height}
            self._node(f"MARKDOWN-{self.rows}", "MARKDOWN", within, meta)
        for chart, width in row.charts.items():
            self.placed += 1
            key = f"CHART-{chart}" + (f"-{self.placed}" if f"CHART-{chart}" in self.tree else "")
            meta = {
                "uuid": chart_uuid(chart, self.environment),
                "chartId": self.placed,
                "sliceName": in_language(self.charts[chart].title, self.locale),
                "width": width,
                "height": row.height or row_height(row, self.charts),
            }
            self._node(key, "CHART", within, meta)


def row_height(row: Row, charts: Mapping[str, Chart]) -> int:
    """Return a row's height when it states none: that of its highest kind of chart."""
    return max(HEIGHTS.get(charts[name].type, DEFAULT_HEIGHT) for name in row.charts)
