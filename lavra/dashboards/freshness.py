"""How fresh a dashboard is, on the dashboard: a row that nobody writes, added by the compiler.

It reads ``lavra.tables`` of the query service, which says what the released snapshot holds, for
the tables that the dashboard's own charts read. So it shows the data's time and its audits, not
the time of the query, and each person sees only tables that they may read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lavra.access.record import is_system
from lavra.dashboards.chart_types import TIME_FORMATS
from lavra.dashboards.form import GRID_COLUMNS, Assets, Chart, Row
from lavra.dashboards.gold import Column, Gold, GoldTable, Metric
from lavra.dashboards.identity import SYSTEM_SCHEMA, SYSTEM_TABLE

if TYPE_CHECKING:
    from lavra.dashboards.form import Dashboard, Text

PREFIX = "_freshness_"
"""Begins the names of these charts; names that people give begin with a letter."""

HEIGHT = 16
_UNKNOWN = {"en": "not stated", "pt_BR": "não informado"}
_COLUMNS = {
    "schema_name": "VARCHAR",
    "table_name": "VARCHAR",
    "row_count": "BIGINT",
    "data_through": "TIMESTAMP",
    "released_at": "TIMESTAMP",
    "snapshot": "VARCHAR",
    "audits_passed": "BIGINT",
    "audits_failed": "BIGINT",
    "failed_audits": "VARCHAR",
}


def system_table(locale: str, time_zone: str) -> GoldTable:
    """Return ``lavra.tables`` with the metrics of a dashboard's freshness.

    Args:
        locale: How moments are written.
        time_zone: The business time zone, in which they are written.
    """
    unknown = _UNKNOWN.get(locale, _UNKNOWN["en"])
    through = (
        "case when count(data_through) = count(*) "
        f"then {_moment('min(data_through)', locale, time_zone)} end"
    )
    failing = "string_agg(case when audits_failed > 0 then table_name || ': ' || failed_audits end"
    metrics = [
        Metric(
            name="data_through_text",
            expression=f"coalesce({through}, '{unknown}')",
            title={"en": f"Data through ({time_zone})", "pt_BR": f"Dados até ({time_zone})"},
        ),
        Metric(
            name="released_text",
            expression=_moment("max(released_at)", locale, time_zone),
            title={"en": "Released", "pt_BR": "Publicado em"},
        ),
        Metric(
            name="checks_passed",
            expression="sum(audits_passed)",
            title={"en": "Checks passed", "pt_BR": "Verificações aprovadas"},
            format=",d",
        ),
        Metric(
            name="checks_failed",
            expression="sum(audits_failed)",
            title={"en": "Checks failed", "pt_BR": "Verificações com falha"},
            format=",d",
        ),
        Metric(
            name="failing",
            expression=f"coalesce({failing}, '; '), '-')",
            title={"en": "What failed", "pt_BR": "O que falhou"},
        ),
    ]
    return GoldTable(
        SYSTEM_SCHEMA,
        SYSTEM_TABLE,
        {name: Column(name, kind) for name, kind in _COLUMNS.items()},
        "What the released snapshot says of each table: its data's time and its audits.",
        None,
        {metric.name: metric for metric in metrics},
    )


def _moment(expression: str, locale: str, time_zone: str) -> str:
    """Return SQL that writes a moment (UTC, without a zone) in the business time zone."""
    written = TIME_FORMATS.get(locale, TIME_FORMATS["en"])
    local = f"({expression} at time zone 'UTC') at time zone '{time_zone}'"
    return f"to_char({local}, '{written}')"


def with_freshness(assets: Assets, gold: Gold) -> Assets:
    """Return the assets with a row on top of each dashboard, about the tables that it reads."""
    charts, dashboards = dict(assets.charts), dict(assets.dashboards)
    for slug, dashboard in assets.dashboards.items():
        released = _released(dashboard, assets, gold)
        if released is not None and not released:
            continue  # the access log alone: it is of now, and of no release
        name = f"{PREFIX}{slug}"
        charts[name] = _chart(released or [])
        row = Row(charts={name: GRID_COLUMNS}, height=HEIGHT)
        dashboards[slug] = dashboard.model_copy(update={"rows": [row, *dashboard.rows]})
    return replace(assets, charts=charts, dashboards=dashboards)


def _released(dashboard: Dashboard, assets: Assets, gold: Gold) -> list[str] | None:
    """Return the released tables that a dashboard reads; None if it reads no table at all."""
    found = (gold.find(assets.charts[name].dataset) for name in dashboard.charts)
    names = {table.full_name for table in found if table is not None}
    return sorted(name for name in names if not is_system(name)) if names else None


def _chart(names: list[str]) -> Chart:
    listed = ", ".join(f"'{name}'" for name in names) or "''"
    title: Text = {"en": "Freshness", "pt_BR": "Atualização"}
    return Chart(
        title=title,
        type="table",
        dataset=f"{SYSTEM_SCHEMA}.{SYSTEM_TABLE}",
        metrics=["data_through_text", "released_text", "checks_passed", "checks_failed", "failing"],
        where=[f"schema_name || '.' || table_name in ({listed})"],
        limit=10,
        options={
            "show_cell_bars": False,
            "conditional_formatting": [
                {
                    "column": "checks_failed",
                    "operator": ">",
                    "targetValue": 0,
                    "colorScheme": "colorErrorBg",
                }
            ],
        },
    )
