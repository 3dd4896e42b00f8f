"""From a chart in our form to Superset's: its form data and the query that it will ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lavra.dashboards import whole_steps
from lavra.dashboards.form import Chart, Text, in_language

if TYPE_CHECKING:
    from collections.abc import Callable

    from lavra.dashboards.gold import GoldTable

GRAINS = {
    "minute": "PT1M", "hour": "PT1H", "day": "P1D", "week": "P1W", "month": "P1M",
    "quarter": "P3M", "year": "P1Y",
}  # fmt: skip
HEIGHTS = {"kpi": 16, "trend": 24, "table": 50}
DEFAULT_HEIGHT = 46
SERIES_LIMIT = 25
TIME_FORMATS = {"en": "%-d %b %Y, %H:%M", "pt_BR": "%d/%m/%Y %H:%M"}
"""How a table writes a moment, by language."""
STEP_FORMATS = {
    "en": {"day": "%-d %b %y", "week": "%-d %b %y", "month": "%b %Y", "quarter": "%b %Y",
           "year": "%Y"},
    "pt_BR": {"day": "%d/%m/%y", "week": "%d/%m/%y", "month": "%b %Y", "quarter": "%b %Y",
              "year": "%Y"},
}  # fmt: skip
"""How an axis writes the beginning of a step, by language and grain."""


class ChartCompiler:
    """Compiles one chart over one table.

    Args:
        chart: The chart.
        table: The Gold table that it reads.
        locale: The language of its texts.
        time_zone: The business time zone, of whose days dates are.
    """

    def __init__(self, chart: Chart, table: GoldTable, locale: str, time_zone: str = "UTC") -> None:
        self.chart = chart
        self.table = table
        self.locale = locale
        derived = whole_steps.condition(chart, table, time_zone)
        self.where = [*chart.where, *([derived] if derived else [])]

    @property
    def viz_type(self) -> str:
        """Superset's name of the chart's type."""
        if self.chart.type == "pivot":
            return "pivot_table_v2"
        return {
            "kpi": "big_number_total", "trend": "big_number", "line": "echarts_timeseries_line",
            "area": "echarts_area", "bar": "echarts_timeseries_bar", "pie": "pie",
            "table": "table", "heatmap": "heatmap_v2", "treemap": "treemap_v2",
            "funnel": "funnel", "histogram": "histogram_v2",
            "scatter": "echarts_timeseries_scatter",
        }[self.chart.type]  # fmt: skip

    def params(self) -> dict[str, Any]:
        """Return the form data: what Superset's editor would have saved."""
        build: dict[str, Callable[[], dict[str, Any]]] = {
            "kpi": self._kpi, "trend": self._trend, "line": self._series, "area": self._series,
            "bar": self._series, "scatter": self._series, "pie": self._pie, "table": self._table,
            "pivot": self._pivot, "heatmap": self._heatmap, "treemap": self._treemap,
            "funnel": self._pie, "histogram": self._histogram,
        }  # fmt: skip
        common = {
            "viz_type": self.viz_type,
            "adhoc_filters": self._filters(),
            "row_limit": self.chart.limit,
            "color_scheme": "lavra",
        }
        return common | build[self.chart.type]() | self.chart.options

    def query(self) -> dict[str, Any]:
        """Return the main query of the chart, as ``POST /api/v1/chart/data`` takes it."""
        chart = self.chart
        query: dict[str, Any] = {
            "columns": self._query_columns(),
            "metrics": list(chart.metrics),
            "filters": [],
            "extras": {"where": " AND ".join(f"({sql})" for sql in self.where), "having": ""},
            "row_limit": chart.limit,
            "row_offset": 0,
            "order_desc": True,
            "annotation_layers": [],
            "applied_time_extras": {},
            "url_params": {},
            "custom_params": {},
            "custom_form_data": {},
        }
        if time := self._time_column():
            query["filters"] = [
                {"col": time, "op": "TEMPORAL_RANGE", "val": chart.period or "No filter"}
            ]
            if grain := self._grain():
                query["extras"]["time_grain_sqla"] = grain
        if chart.columns:
            query["metrics"] = []
            query["orderby"] = [[name.lstrip("-"), not name.startswith("-")] for name in chart.sort]
        elif chart.metrics and query["columns"]:
            query["orderby"] = [[chart.metrics[0], False]]
        if chart.type == "histogram":
            query["metrics"] = []
        return query

    def text(self, text: Text) -> str:
        """Return a text in the chart's language."""
        return in_language(text, self.locale)

    def _kpi(self) -> dict[str, Any]:
        return {
            "metric": self.chart.metrics[0],
            "y_axis_format": self._format(),
            "header_font_size": 0.4,
            "subheader": self.text(self.chart.compare_label),
            "subheader_font_size": 0.15,
            "time_format": "smart_date",
        }

    def _trend(self) -> dict[str, Any]:
        chart = self.chart
        return {
            "metric": chart.metrics[0],
            "x_axis": chart.x,
            "time_grain_sqla": self._grain(),
            "compare_lag": chart.compare,
            "compare_suffix": self.text(chart.compare_label),
            "y_axis_format": self._format(),
            "show_trend_line": True,
            "start_y_axis_at_zero": True,
            "header_font_size": 0.35,
            "subheader_font_size": 0.15,
            "rolling_type": "None",
            # Which step the number is of.
            "show_timestamp": True,
            "time_format": self._step_format(),
        }

    def _series(self) -> dict[str, Any]:
        chart = self.chart
        is_time = self._x_is_time()
        return {
            "x_axis": chart.x,
            "time_grain_sqla": self._grain(),
            # A horizontal chart is drawn from the bottom: ascending puts the largest on top.
            "x_axis_sort_asc": is_time or chart.horizontal,
            "x_axis_sort": None if is_time or chart.metrics[0] == chart.x else chart.metrics[0],
            "x_axis_sort_series": "name",
            "x_axis_sort_series_ascending": True,
            "metrics": list(chart.metrics),
            "groupby": list(chart.by),
            "limit": SERIES_LIMIT if chart.by else None,
            "order_desc": True,
            "truncate_metric": True,
            "show_empty_columns": True,
            "comparison_type": "values",
            "orientation": "horizontal" if chart.horizontal else "vertical",
            "stack": "Stack" if chart.stack or chart.type == "area" else None,
            "opacity": 0.3 if chart.type == "area" else 0.2,
            "show_legend": bool(chart.by) or len(chart.metrics) > 1,
            "legendType": "scroll",
            "legendOrientation": "top",
            "markerEnabled": False,
            "rich_tooltip": True,
            "tooltipTimeFormat": "smart_date",
            "x_axis_time_format": self._step_format(),
            "y_axis_format": self._axis_format(),
            "show_value": chart.horizontal and not chart.by and len(chart.metrics) == 1,
            "y_axis_bounds": [None, None],
            "truncateXAxis": True,
            "xAxisLabelInterval": "auto",
        }

    def _pie(self) -> dict[str, Any]:
        return {
            "groupby": list(self.chart.by),
            "metric": self.chart.metrics[0],
            "sort_by_metric": True,
            "number_format": self._format(),
            # Names in a legend: beside a slice, a narrow tile cuts them off.
            "show_legend": True,
            "legendType": "scroll",
            "legendOrientation": "top",
            "show_labels": True,
            "show_labels_threshold": 3,
            "label_type": "percent",
            "labels_outside": True,
            "label_line": True,
            "donut": True,
            "innerRadius": 45,
            "outerRadius": 65,
            "date_format": "smart_date",
        }

    def _table(self) -> dict[str, Any]:
        chart = self.chart
        common = {
            "table_timestamp_format": self._time_format(),
            "page_length": 0,
            "include_search": False,
            "show_cell_bars": not chart.columns,
            "color_pn": False,
            "order_desc": True,
        }
        if chart.columns:
            return common | {
                "query_mode": "raw",
                "all_columns": list(chart.columns),
                "order_by_cols": [
                    f'["{name.lstrip("-")}", {"false" if name.startswith("-") else "true"}]'
                    for name in chart.sort
                ],
            }
        return common | {
            "query_mode": "aggregate",
            "groupby": self._query_names(),
            "metrics": list(chart.metrics),
            "time_grain_sqla": self._grain(),
            "timeseries_limit_metric": chart.metrics[0],
        }

    def _pivot(self) -> dict[str, Any]:
        chart = self.chart
        return {
            "groupbyRows": list(chart.by),
            "groupbyColumns": [chart.x] if chart.x else [],
            "time_grain_sqla": self._grain(),
            "temporal_columns_lookup": {chart.x: True} if self._x_is_time() else {},
            "metrics": list(chart.metrics),
            "metricsLayout": "COLUMNS",
            "aggregateFunction": "Sum",
            "rowOrder": "key_a_to_z",
            "colOrder": "key_a_to_z",
            "valueFormat": self._format(),
            "date_format": "smart_date",
            "order_desc": True,
        }

    def _heatmap(self) -> dict[str, Any]:
        return {
            "x_axis": self.chart.x,
            "time_grain_sqla": self._grain(),
            "groupby": self.chart.by[0],
            "metric": self.chart.metrics[0],
            "sort_x_axis": "alpha_asc",
            "sort_y_axis": "alpha_desc",
            "normalize_across": "heatmap",
            "legend_type": "continuous",
            "linear_color_scheme": "lavra_sequence",
            "xscale_interval": -1,
            "yscale_interval": -1,
            "left_margin": "auto",
            "bottom_margin": "auto",
            "value_bounds": [None, None],
            "y_axis_format": self._format(),
            "x_axis_time_format": "smart_date",
            "show_legend": True,
            "show_percentage": False,
            "show_values": False,
        }

    def _treemap(self) -> dict[str, Any]:
        return {
            "groupby": list(self.chart.by),
            "metric": self.chart.metrics[0],
            "label_type": "key_value",
            "number_format": self._format(),
            "show_labels": True,
            "show_upper_labels": len(self.chart.by) > 1,
            "date_format": "smart_date",
        }

    def _histogram(self) -> dict[str, Any]:
        return {"column": self.chart.x, "groupby": list(self.chart.by), "bins": 20}

    def _filters(self) -> list[dict[str, Any]]:
        """The chart's own conditions, and the time range on which dashboards act."""
        found: list[dict[str, Any]] = [
            {"clause": "WHERE", "expressionType": "SQL", "sqlExpression": sql} for sql in self.where
        ]
        if time := self._time_column():
            found.append(
                {
                    "clause": "WHERE",
                    "expressionType": "SIMPLE",
                    "subject": time,
                    "operator": "TEMPORAL_RANGE",
                    "comparator": self.chart.period or "No filter",
                }
            )
        return found

    def _time_column(self) -> str | None:
        return self.chart.x if self._x_is_time() else self.table.main_time_column

    def _x_is_time(self) -> bool:
        column = self.table.columns.get(self.chart.x or "")
        return bool(column and column.is_time)

    def _grain(self) -> str | None:
        return GRAINS[self.chart.grain] if self.chart.grain else None

    def _format(self) -> str:
        if self.chart.format:
            return self.chart.format
        metric = self.table.metrics.get(self.chart.metrics[0]) if self.chart.metrics else None
        return metric.format if metric and metric.format else "SMART_NUMBER"

    def _axis_format(self) -> str:
        """Whole numbers short, as 84.7k: along an axis long ones overlap or are cut off."""
        chosen = self._format()
        return ".3~s" if chosen == ",.0f" and not self.chart.format else chosen

    def _time_format(self) -> str:
        """How a table writes its moments; one format serves all columns, dates among them."""
        shown = [self.table.columns.get(name) for name in self.chart.columns or self._query_names()]
        if any(column and column.type.upper().startswith("DATE") for column in shown):
            return "smart_date"
        return TIME_FORMATS.get(self.locale, TIME_FORMATS["en"])

    def _step_format(self) -> str:
        """How an axis writes its steps: each is told from those of other years."""
        formats = STEP_FORMATS.get(self.locale, STEP_FORMATS["en"])
        return formats.get(self.chart.grain or "", "smart_date")

    def _query_names(self) -> list[str]:
        chart = self.chart
        return list(dict.fromkeys([*([chart.x] if chart.x else []), *chart.by]))

    def _query_columns(self) -> list[Any]:
        chart = self.chart
        if chart.columns:
            return list(chart.columns)
        columns: list[Any] = self._query_names()
        if chart.grain and self._x_is_time():
            columns[0] = {
                "timeGrain": self._grain(),
                "columnType": "BASE_AXIS",
                "sqlExpression": chart.x,
                "label": chart.x,
                "expressionType": "SQL",
            }
        return columns
