"""The step that the data does not fill yet is left out of comparisons."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lavra.dashboards import whole_steps
from lavra.dashboards.chart_types import ChartCompiler
from lavra.dashboards.form import Chart, parse
from lavra.dashboards.gold import Column, GoldTable, Metric
from lavra.errors import DashboardError

TABLE = GoldTable(
    "gold_shop",
    "orders",
    {"day": Column("day", "DATE"), "at": Column("at", "TIMESTAMP")},
    metrics={"orders": Metric(name="orders", expression="count(*)")},
)
TREND = {"title": "Orders", "type": "trend", "dataset": "orders", "metrics": ["orders"]}


def _chart(**fields: Any) -> Chart:
    return parse(json.dumps(TREND | {"x": "day", "grain": "month"} | fields), Chart)


def test_days_are_of_the_business_zone_and_timestamps_utc() -> None:
    day = whole_steps.condition(_chart(compare=1), TABLE, "America/Sao_Paulo")
    assert day == (
        "day < coalesce((select (date_trunc('month', (max(data_through) at time zone 'UTC') "
        "at time zone 'America/Sao_Paulo'))::date from lavra.tables where "
        "schema_name = 'gold_shop' and table_name = 'orders'), date '9999-12-31')"
    )
    moment = whole_steps.condition(
        _chart(x="at", grain="week", compare=1), TABLE, "America/Sao_Paulo"
    )
    assert moment is not None
    assert moment.startswith("at < coalesce((select date_trunc('week', max(data_through)) from")


def test_what_compares_nothing_shows_what_there_is() -> None:
    assert whole_steps.condition(_chart(), TABLE, "UTC") is None
    line = _chart(type="line")
    assert whole_steps.condition(line, TABLE, "UTC") is None
    assert whole_steps.condition(_chart(type="line", whole=True), TABLE, "UTC") is not None
    with pytest.raises(DashboardError, match="whole needs x and grain"):
        parse(json.dumps(TREND | {"type": "kpi", "whole": True}), Chart)


def test_the_form_data_and_the_query_hold_it_beside_the_charts_own() -> None:
    compiler = ChartCompiler(_chart(compare=1, where=["at > '2020-01-01'"]), TABLE, "en")
    wanted = whole_steps.condition(compiler.chart, TABLE, "UTC")
    filters = compiler.params()["adhoc_filters"]
    found = [item["sqlExpression"] for item in filters if item["expressionType"] == "SQL"]
    assert found == ["at > '2020-01-01'", wanted]
    assert whole_steps.is_condition(found[1])
    assert not whole_steps.is_condition(found[0])
    assert compiler.query()["extras"]["where"] == f"(at > '2020-01-01') AND ({wanted})"
