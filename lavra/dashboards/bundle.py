"""The bundle of YAML files that Superset imports, compiled from our form and the Gold tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from lavra.dashboards.chart_types import ChartCompiler
from lavra.dashboards.form import Assets, Dashboard, Filter, Text, in_language
from lavra.dashboards.freshness import PREFIX, system_table, with_freshness
from lavra.dashboards.identity import (
    PRODUCTION,
    chart_uuid,
    dashboard_slug,
    dashboard_uuid,
    database_uuid,
    dataset_uuid,
)
from lavra.dashboards.layout import position

if TYPE_CHECKING:
    from lavra.dashboards.gold import Column, Gold, GoldTable

VERSION = "1.0.0"
DATABASE_NAME = "Lavra"


class BundleCompiler:
    """Compiles a lake's assets; :func:`lavra.dashboards.lint.lint` must have found no fault.

    Args:
        assets: What ``superset/assets`` declares.
        gold: The Gold tables with their metrics.
        uri: SQLAlchemy URL of the query service, from where Superset runs.
        locale: The language of titles.
        time_zone: The business time zone: of the dates, and of how fresh dashboards say to be.
        environment: The SQLMesh environment that the dashboards show.
    """

    def __init__(
        self,
        assets: Assets,
        gold: Gold,
        *,
        uri: str,
        locale: str = "en",
        time_zone: str = "UTC",
        environment: str = PRODUCTION,
    ) -> None:
        self.assets = with_freshness(assets, gold)
        self.gold = gold
        self.system = system_table(locale, time_zone)
        self.uri = uri
        self.locale = locale
        self.time_zone = time_zone
        self.environment = environment

    def files(self) -> dict[str, str]:
        """Return the bundle: relative path to YAML text."""
        found: dict[str, Any] = {
            "metadata.yaml": {"version": VERSION, "type": "assets"},
            "databases/lavra.yaml": self._database(),
        }
        for table in self._tables():
            found[f"datasets/lavra/{table.full_name}.yaml"] = self._dataset(table)
        for name in self.assets.charts:
            found[f"charts/{name}.yaml"] = self._chart(name)
        for slug, dashboard in self.assets.dashboards.items():
            found[f"dashboards/{slug}.yaml"] = self._dashboard(slug, dashboard)
        return {
            path: yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
            for path, value in found.items()
        }

    def owned(self) -> dict[str, list[str]]:
        """Return the uuids of what the bundle makes, by kind."""
        return {
            "dashboards": [
                dashboard_uuid(slug, self.environment) for slug in self.assets.dashboards
            ],
            "charts": [chart_uuid(name, self.environment) for name in self.assets.charts],
            "datasets": [dataset_uuid(t.full_name, self.environment) for t in self._tables()],
        }

    def restricted(self) -> dict[str, list[str]]:
        """Return the roles that may open each dashboard, by its uuid; none: whoever sees data."""
        return {
            dashboard_uuid(slug, self.environment): sorted(dashboard.roles)
            for slug, dashboard in self.assets.dashboards.items()
        }

    def _database(self) -> dict[str, Any]:
        suffix = "" if self.environment == PRODUCTION else f" ({self.environment})"
        return {
            "database_name": DATABASE_NAME + suffix,
            "sqlalchemy_uri": self.uri,
            "cache_timeout": None,
            "expose_in_sqllab": True,
            "allow_run_async": False,
            "allow_ctas": False,
            "allow_cvas": False,
            "allow_dml": False,
            "allow_file_upload": False,
            "impersonate_user": True,
            "extra": {"allows_virtual_table_explore": True, "schema_options": {}},
            "uuid": database_uuid(self.environment),
            "is_managed_externally": True,
            "version": VERSION,
        }

    def _dataset(self, table: GoldTable) -> dict[str, Any]:
        return {
            "table_name": table.name,
            "schema": table.schema,
            "description": table.description or None,
            "main_dttm_col": table.main_time_column,
            "sql": None,
            "filter_select_enabled": True,
            "always_filter_main_dttm": False,
            "normalize_columns": False,
            "uuid": dataset_uuid(table.full_name, self.environment),
            "database_uuid": database_uuid(self.environment),
            "is_managed_externally": True,
            "columns": [
                self._column(column, table.titles.get(column.name, ""))
                for column in table.columns.values()
            ],
            "metrics": [
                *({
                    "metric_name": metric.name,
                    "verbose_name": self._text(metric.title) or _words(metric.name),
                    "expression": metric.expression,
                    "metric_type": None,
                    "description": self._text(metric.description) or None,
                    "d3format": metric.format or None,
                    "currency": {"symbol": metric.currency, "symbolPosition": "prefix"}
                    if metric.currency
                    else None,
                } for metric in table.metrics.values()),
            ],
            "version": VERSION,
        }  # fmt: skip

    def _column(self, column: Column, title: Text) -> dict[str, Any]:
        return {
            "column_name": column.name,
            "verbose_name": self._text(title) or _words(column.name),
            "type": _superset_type(column.type),
            "is_dttm": column.is_time,
            "is_active": True,
            "groupby": True,
            "filterable": True,
            "expression": None,
            "description": column.description or None,
            "python_date_format": None,
        }

    def _chart(self, name: str) -> dict[str, Any]:
        chart = self.assets.charts[name]
        table = self._table(chart.dataset)
        compiler = ChartCompiler(chart, table, self.locale, self.time_zone)
        query_context = {
            "datasource": {"id": 0, "type": "table"},
            "force": False,
            "queries": [compiler.query()],
            "form_data": compiler.params(),
            "result_format": "json",
            "result_type": "full",
        }
        return {
            "slice_name": self._text(chart.title),
            "description": self._text(chart.description) or None,
            "viz_type": compiler.viz_type,
            "params": compiler.params(),
            "query_context": json.dumps(query_context, ensure_ascii=False),
            "cache_timeout": None,
            "uuid": chart_uuid(name, self.environment),
            "dataset_uuid": dataset_uuid(table.full_name, self.environment),
            "is_managed_externally": True,
            "version": VERSION,
        }

    def _dashboard(self, slug: str, dashboard: Dashboard) -> dict[str, Any]:
        title = self._text(dashboard.title)
        layout = position(
            dashboard, self.assets.charts, locale=self.locale, environment=self.environment
        )
        if self.environment != PRODUCTION:
            title = f"{title} ({self.environment})"
        return {
            "dashboard_title": title,
            "description": self._text(dashboard.description) or None,
            "css": "",
            "slug": dashboard_slug(slug, self.environment),
            "published": True,
            "uuid": dashboard_uuid(slug, self.environment),
            "is_managed_externally": True,
            "position": layout,
            "metadata": {
                "color_scheme": dashboard.color_scheme,
                "cross_filters_enabled": dashboard.cross_filters
                and not any(self.assets.charts[name].filters_wrongly for name in dashboard.charts),
                "refresh_frequency": dashboard.refresh_s,
                "timed_refresh_immune_slices": [],
                "expanded_slices": {},
                "label_colors": {},
                "shared_label_colors": [],
                "color_scheme_domain": [],
                "filter_bar_orientation": "HORIZONTAL",
                "native_filter_configuration": [
                    self._filter(number, item, _unfiltered(layout))
                    for number, item in enumerate(dashboard.filters, start=1)
                ],
            },
            "version": VERSION,
        }

    def _filter(self, number: int, item: Filter, excluded: list[int]) -> dict[str, Any]:
        kinds = {
            "select": "filter_select", "range": "filter_range", "time": "filter_time",
            "grain": "filter_timegrain",
        }  # fmt: skip
        target: dict[str, Any] = {}
        if item.dataset:
            table = self._table(item.dataset)
            target["datasetUuid"] = dataset_uuid(table.full_name, self.environment)
        if item.column:
            target["column"] = {"name": item.column}
        empty: dict[str, Any] = {"extraFormData": {}, "filterState": {}, "ownState": {}}
        if item.type == "time" and item.default and item.default != "No filter":
            empty["extraFormData"] = {"time_range": item.default}
            empty["filterState"] = {"value": item.default}
        controls: dict[str, Any] = {"enableEmptyFilter": False}
        if item.type == "select":
            controls |= {
                "multiSelect": item.multiple,
                "searchAllOptions": False,
                "inverseSelection": False,
                "defaultToFirstItem": False,
                "sortAscending": True,
            }
        return {
            "id": f"NATIVE_FILTER-{number}",
            "type": "NATIVE_FILTER",
            "filterType": kinds[item.type],
            "name": self._text(item.name),
            "description": self._text(item.description),
            "targets": [target],
            "controlValues": controls,
            "defaultDataMask": empty,
            "cascadeParentIds": [],
            "scope": {"rootPath": ["ROOT_ID"], "excluded": excluded},
        }

    def _tables(self) -> list[GoldTable]:
        tables = list(self.gold.tables.values())
        return [*tables, self.system] if self.assets.dashboards else tables

    def _table(self, name: str) -> GoldTable:
        table = self.system if name == self.system.full_name else self.gold.find(name)
        if table is None:
            raise KeyError(name)
        return table

    def _text(self, text: str | dict[str, str]) -> str:
        return in_language(text, self.locale)


def _unfiltered(layout: dict[str, Any]) -> list[int]:
    """Return the numbers of the charts in a layout that no filter reaches: how fresh it all is."""
    return [
        node["meta"]["chartId"] for key, node in layout.items() if key.startswith(f"CHART-{PREFIX}")
    ]


def _words(name: str) -> str:
    """Make a label of a column's name: net_revenue becomes Net revenue."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _superset_type(kind: str) -> str:
    """Name a DuckDB type as the driver will name it in results."""
    upper = kind.upper()
    plain = {"TEXT": "VARCHAR", "INT": "INTEGER", "REAL": "FLOAT", "TIMESTAMPTZ": "TIMESTAMP"}
    if upper.startswith("TIMESTAMP"):
        return "TIMESTAMP"
    return plain.get(upper, upper)
