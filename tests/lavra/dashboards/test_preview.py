"""The same dashboards over another environment's release, beside production's."""

from __future__ import annotations

from typing import Any

import pytest

from lavra.dashboards import preview, superset
from lavra.dashboards.client import SupersetClient
from lavra.dashboards.gold import Gold
from lavra.errors import DashboardError
from lavra.releases.ledger import Evaluation
from lavra.releases.make import describe_tables
from lavra.releases.rule import EnvironmentTable
from lavra.releases.store import insert_release
from tests.lavra.dashboards.conftest import GOLD, RunningSuperset
from tests.query_service.conftest import Lake, wait_until

SHOWN = "dev_of_ana"


def _release(lake: Lake, gold: Gold, environment: str) -> None:
    """Release all models in an environment whose orders are a table of its own, with fewer rows."""
    lake.duck.execute("create schema lake.dev")
    lake.duck.execute(
        "create table lake.dev.fct_orders as "
        "select * from lake.gold_commerce.fct_orders where order_id < 60"
    )
    for table in gold.tables.values():
        if table.name not in GOLD:
            columns = ", ".join(f"{c.name} {c.type}" for c in table.columns.values())
            lake.duck.execute(f"create table lake.dev.{table.name} ({columns})")
    held = {table.name: f"dev.{table.name}" for table in gold.tables.values()}
    held |= {name: f"gold_commerce.{name}" for name in GOLD} | {"fct_orders": "dev.fct_orders"}
    schemas = {table.name: table.schema for table in gold.tables.values()}
    tables = [
        EnvironmentTable(f"{schemas[name]}.{name}", schemas[name], name, physical, reads={})
        for name, physical in held.items()
    ]
    snapshot = lake.snapshot()
    audits: list[dict[str, Any]] = [{"name": "not_null", "passed": True, "blocking": True}]
    evaluations = {
        table.physical_table: Evaluation(table.physical_table, table.model, audits=audits)
        for table in tables
    }
    described = describe_tables(
        lake.catalog, lake.storage, snapshot, tables, evaluations=evaluations, sizes={}
    )
    with lake.catalog.connect() as connection:
        insert_release(
            connection, environment=environment, snapshot_id=snapshot, cause="plan",
            tables=described,
        )  # fmt: skip


def _orders(client: SupersetClient, slug: str) -> int:
    chart = next(
        item for item in client.charts_of(slug) if item["slice_name"] == "Orders by status"
    )
    return sum(row["order_count"] for row in client.chart_data(chart["id"])["data"])


def test_a_preview_stands_beside_production_and_goes_again(
    running_superset: RunningSuperset,
) -> None:
    running = running_superset
    where = (running.environment, running.lake.catalog)
    with pytest.raises(DashboardError, match="has no release"):
        preview.show(running.settings, SHOWN, *where)
    with pytest.raises(DashboardError, match="prod is no preview"):
        preview.remove(running.settings, "prod", *where)
    _release(running.lake, superset.read_gold(running.settings), SHOWN)
    wait_until(lambda: running.serves(SHOWN), timeout_s=120)

    with running.client() as client:
        before = {chart["id"] for chart in client.charts_of("commerce")}
        slugs = {item["slug"] for item in client.dashboards()}
        _, addresses = preview.show(running.settings, SHOWN, *where)
        assert addresses == [f"/superset/dashboard/{name}__{SHOWN}/" for name in sorted(slugs)]
        slug = f"commerce__{SHOWN}"
        checked = client.check({slug})
        assert len(checked) == len(before)
        assert [item for item in checked if not item.is_good] == []
        assert (_orders(client, slug), _orders(client, "commerce")) == (60, 3000)
        # Once more, there is nothing to do: no process starts.
        assert preview.show(running.settings, SHOWN, *where)[0].timings_s == {}

        preview.remove(running.settings, SHOWN, *where)
        assert {chart["id"] for chart in client.charts_of("commerce")} == before
        assert {item["slug"] for item in client.dashboards()} == slugs
        databases = client.get("/api/v1/database/")["result"]
        assert [item["database_name"] for item in databases] == ["Lavra"]
