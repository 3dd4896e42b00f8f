"""What Superset holds of the lake's assets, as plain data without Superset's own ids."""

from __future__ import annotations

import json
from typing import Any

_VOLATILE = {"datasource", "slice_id", "dashboards", "dashboardId", "url_params"}
_COLUMN = ("verbose_name", "type", "is_dttm", "is_active", "groupby", "filterable", "expression",
           "description")  # fmt: skip
_METRIC = ("verbose_name", "expression", "description", "d3format", "currency")


def take(owned: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Return the owned objects by ``<kind> <uuid>``; what is gone is missing."""
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice

    from superset import db

    readers = {
        "charts": (Slice, _chart),
        "dashboards": (Dashboard, _dashboard),
        "datasets": (SqlaTable, _dataset),
    }
    found: dict[str, dict[str, Any]] = {}
    for kind, (model, read) in readers.items():
        rows = db.session.query(model).filter(model.uuid.in_(owned[kind])).all()
        for row in rows:
            found[f"{kind} {row.uuid}"] = read(row)
    return found


def placed_on(owned: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """Return the charts that people put on the owned dashboards, as ``new_charts <uuid>``."""
    from superset.models.dashboard import Dashboard

    from superset import db

    dashboards = db.session.query(Dashboard).filter(Dashboard.uuid.in_(owned["dashboards"]))
    return {
        f"new_charts {chart.uuid}": _chart(chart)
        | {"dashboards": [str(board.uuid) for board in chart.dashboards]}
        for dashboard in dashboards
        for chart in dashboard.slices
        if str(chart.uuid) not in owned["charts"]
    }


def _chart(chart: Any) -> dict[str, Any]:
    params = json.loads(chart.params or "{}")
    return {
        "title": chart.slice_name,
        "description": chart.description,
        "viz_type": chart.viz_type,
        "dataset": str(chart.table.uuid) if chart.table else None,
        "params": {name: value for name, value in params.items() if name not in _VOLATILE},
    }


def _dashboard(dashboard: Any) -> dict[str, Any]:
    from superset.connectors.sqla.models import SqlaTable

    from superset import db

    datasets = {row.id: str(row.uuid) for row in db.session.query(SqlaTable.id, SqlaTable.uuid)}
    metadata = json.loads(dashboard.json_metadata or "{}")
    # Superset's own bookkeeping, rewritten whenever somebody saves.
    for name in ("chart_configuration", "global_chart_configuration", "map_label_colors"):
        metadata.pop(name, None)
    for item in metadata.get("native_filter_configuration") or ():
        item.pop("chartsInScope", None)
        item.pop("tabsInScope", None)
        for target in item.get("targets") or ():
            if "datasetId" in target:
                target["dataset"] = datasets.get(target.pop("datasetId"))
    position = json.loads(dashboard.position_json or "{}")
    uuids = {chart.id: str(chart.uuid) for chart in dashboard.slices}
    for node in position.values():
        if isinstance(node, dict):
            number = node.get("meta", {}).pop("chartId", None)
            if number in uuids:  # the editor writes numbers only
                node["meta"].setdefault("uuid", uuids[number])
    return {
        "title": dashboard.dashboard_title,
        "description": dashboard.description,
        "slug": dashboard.slug,
        "published": dashboard.published,
        "css": dashboard.css or "",
        "metadata": metadata,
        "position": position,
    }


def _dataset(table: Any) -> dict[str, Any]:
    return {
        "title": table.table_name,
        "schema": table.schema,
        "description": table.description,
        "main_dttm_col": table.main_dttm_col,
        "sql": table.sql,
        "columns": {c.column_name: {n: getattr(c, n) for n in _COLUMN} for c in table.columns},
        "metrics": {m.metric_name: {n: getattr(m, n) for n in _METRIC} for m in table.metrics},
    }
