"""A chart made in Superset's editor, in our form: what the editor adds of itself is left out."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

    from lavra.dashboards.gold import GoldTable

TYPES = {
    "big_number_total": "kpi", "big_number": "trend", "echarts_timeseries_line": "line",
    "echarts_area": "area", "echarts_timeseries_bar": "bar", "pie": "pie", "table": "table",
    "pivot_table_v2": "pivot", "heatmap_v2": "heatmap", "treemap_v2": "treemap",
    "funnel": "funnel", "histogram_v2": "histogram", "echarts_timeseries_scatter": "scatter",
}  # fmt: skip

# What the editor of Superset 6.1 writes into a chart that nobody touched there.
_EDITOR_DEFAULTS: dict[str, Any] = {
    "annotation_layers": [], "comparison_type": "values", "extra_form_data": {},
    "forecastEnabled": False, "forecastInterval": 0.8, "forecastPeriods": 10, "logAxis": False,
    "markerSize": 6, "minorSplitLine": False, "minorTicks": False, "only_total": True,
    "opacity": 0.2, "orientation": "vertical", "percentage_threshold": 0,
    "rolling_type": None, "seriesType": "line", "server_pagination": False,
    "show_empty_columns": True, "show_extra_controls": False, "show_totals": False,
    "show_value": False, "sort_series_type": "sum", "stack": None, "temporal_columns_lookup": {},
    "time_compare": None, "tooltipSortByMetric": False, "truncate_metric": True,
    "truncateYAxis": False, "x_axis_title_margin": 15, "y_axis_title_margin": 15,
    "y_axis_title_position": "Left", "x_axis_title": "", "y_axis_title": "", "zoomable": False,
    "allow_render_html": True, "comparison_color_scheme": "Green", "date_format": "smart_date",
    "show_legend": True, "legendType": "scroll", "legendOrientation": "top", "legendMargin": None,
    "order_desc": True, "query_mode": "aggregate", "granularity_sqla": None,
    "color_scheme": "supersetColors", "viz_type": None, "xAxisForceCategorical": False,
    "group_others_when_limit_reached": False, "sort_series_ascending": False,
    "time_shift_color": True, "color_by_primary_axis": False, "x_axis_number_format": "~g",
    "xAxisLabelRotation": 0, "force_max_interval": False, "showTooltipTotal": True,
    "showTooltipPercentage": False, "echart_options": "{}",
}  # fmt: skip
_ELSEWHERE = ("viz_type", "color_scheme", "x_axis_sort_asc", "x_axis_sort_series",
              "x_axis_sort_series_ascending", "temporal_columns_lookup")  # fmt: skip
"""What the compiler or the dashboard decides."""


def name_of(title: str, taken: Collection[str]) -> str:
    """Return a file's name for a title, unlike those that are taken."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:70] or "chart"
    name = name if name[0].isalpha() else f"chart_{name}"
    number, found = 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def is_noise(name: str, value: Any) -> bool:
    """Whether a parameter says nothing that a person decided."""
    if name in _ELSEWHERE or value is None or value in ("", [], {}):
        return True
    if name == "x_axis_title_margin" and value == 0:
        return True
    return name in _EDITOR_DEFAULTS and _EDITOR_DEFAULTS[name] == value


def without_matrix(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters without the settings of a matrix of charts that is not switched on."""
    if params.get("matrixify_enable"):
        return params
    return {name: value for name, value in params.items() if not name.startswith("matrixify_")}


def with_named_metrics(params: dict[str, Any], table: GoldTable) -> dict[str, Any]:
    """Return the parameters with each metric that the model names called by its name.

    The editor's "SUM(net_revenue)" is the model's ``net_revenue: sum(net_revenue)``.
    """
    known = {_plain(metric.expression): name for name, metric in table.metrics.items()}

    def named(metric: Any) -> Any:
        if not isinstance(metric, dict):
            return metric
        expression = metric.get("sqlExpression") or ""
        if metric.get("expressionType") == "SIMPLE":
            column = (metric.get("column") or {}).get("column_name", "")
            expression = f"{metric.get('aggregate', '')}({column})"
        return known.get(_plain(expression).replace("count_distinct(", "count(distinct"), metric)

    changed = dict(params)
    if "metric" in params:
        changed["metric"] = named(params["metric"])
    if params.get("metrics"):
        changed["metrics"] = [named(metric) for metric in params["metrics"]]
    return changed


def unnamed_metrics(params: dict[str, Any]) -> list[str]:
    """Return the labels of metrics that stand in the chart alone, not beside the model."""
    metrics = [params.get("metric"), *(params.get("metrics") or ())]
    return [str(m.get("label") or m.get("sqlExpression")) for m in metrics if isinstance(m, dict)]


def of_its_mode(params: dict[str, Any]) -> dict[str, Any]:
    """Return a table's parameters without those of the mode (raw, aggregate) that it is not in."""
    raw = params.get("query_mode") == "raw"
    other = ("metrics", "groupby", "percent_metrics") if raw else ("all_columns", "order_by_cols")
    return {name: value for name, value in params.items() if name not in other}


def _plain(expression: str) -> str:
    return re.sub(r"\s+|\"", "", expression).lower()
