"""The commerce models from an empty lake to changed sources, against an independent computation.

One story, told in order: each step starts from where the one before it left the lake.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lavra.catalog import open_catalog
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.settings import load_settings
from lavra.storage import open_storage
from lavra.workloads.commerce.source import CommerceSource, ensure_source, leave
from tests.sqlmesh_project.independent import IndependentShop

ROOT = Path(__file__).parents[2]
ZONE = "America/Sao_Paulo"
GOLD = (
    "fct_orders", "fct_order_items", "dim_customers", "dim_products", "daily_revenue",
    "daily_category_sales", "daily_seller_sales", "customer_retention", "customer_segments",
    "stock_levels",
)  # fmt: skip

pytestmark = pytest.mark.timeout(900)


class Lake:
    """A copy of this repository's lake, small, with its own shop."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        (root / "lavra.toml").write_text(
            f'name = "test"\ntime_zone = "{ZONE}"\nworkload_scale = 0.01\n'
        )
        for folder in ("sqlmesh_project", "airbyte"):
            shutil.copytree(
                ROOT / folder, root / folder, ignore=shutil.ignore_patterns(".cache", "logs")
            )
        self.root = root
        self.settings = load_settings(root)
        self.catalog = open_catalog(self.settings)
        self.source: CommerceSource = ensure_source(self.settings)

    def command(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).parent / program), *arguments],
            cwd=self.root, env=_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def land(self) -> None:
        self.command("lavra", "ingest", "run", "--all")

    def sqlmesh(self, *arguments: str) -> str:
        return self.command("sqlmesh", "-p", "sqlmesh_project", *arguments)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        storage = open_storage(self.settings)
        with connect_duckdb(storage) as connection:
            attach_lake(connection, self.catalog, storage, read_only=True)
            connection.execute("USE lake")
            return connection.execute(statement).fetchall()

    def change_source(self, *statements: str) -> None:
        with psycopg.connect(self.source.url) as connection:
            for statement in statements:
                connection.execute(statement)

    def snapshot(self) -> int:
        return int(self.query("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0])

    def expected(self) -> IndependentShop:
        return IndependentShop(self.source.url, self.source.catalogue, ZONE)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = Lake(tmp_path_factory.mktemp("lake"))
    yield made
    leave(made.settings)
    if made.catalog.server:
        made.catalog.server.leave()


def test_an_empty_lake_plans_and_every_gold_table_is_there_and_empty(lake: Lake) -> None:
    lake.sqlmesh("plan", "--auto-apply", "--no-prompts", "--skip-tests")
    for table in GOLD:
        assert lake.query(f"SELECT count(*) FROM gold_commerce.{table}") == [(0,)], table


def test_gold_equals_an_independent_computation(lake: Lake) -> None:
    lake.land()
    lake.sqlmesh("run")
    _assert_gold_is_right(lake)
    assert lake.query("SELECT count(*) FROM gold_commerce.fct_orders")[0][0] > 100
    quarantined = lake.query("SELECT order_item_id FROM silver_commerce.quarantined_order_items")
    assert {row[0] for row in quarantined} == lake.expected().rejected_items


def test_a_second_run_changes_nothing(lake: Lake) -> None:
    before = lake.snapshot()
    lake.sqlmesh("run")
    assert lake.snapshot() == before


def test_late_changes_reach_old_days_and_dirty_rows_are_set_aside(lake: Lake) -> None:
    old = lake.query(
        "SELECT order_id FROM gold_commerce.fct_orders "
        "WHERE status = 'delivered' AND gross_revenue > 0 ORDER BY ordered_at LIMIT 3"
    )
    updated, cancelled, spoiled = (row[0] for row in old)
    customer = lake.query("SELECT min(customer_id) FROM gold_commerce.dim_customers")[0][0]
    product, seller = lake.query(
        "SELECT product_id, seller_id FROM silver_commerce.products ORDER BY 1 LIMIT 1"
    )[0]
    local = dt.datetime(2025, 3, 31, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
    order = "insert into orders (order_id, customer_id, ordered_at, status, channel) values "
    lake.change_source(
        "alter table orders add column gift_note text",
        f"update orders set discount = discount + 0.01, gift_note = 'x' where order_id = {updated}",
        f"update orders set status = 'cancelled' where order_id = {cancelled}",
        f"update orders set status = 'eaten' where order_id = {spoiled}",
        f"{order} (900001, {customer}, '{local.isoformat()}', ' PAID ', 'Web')",
        f"{order} (900002, 123456789, '{local.isoformat()}', 'paid', 'web')",
        "insert into order_items (order_item_id, order_id, product_id, seller_id, quantity, "
        f"unit_price) values (900001, 900001, '{product}', '{seller}', 2, 10.05), "
        f"(900002, 900001, '{product}', '{seller}', 0, 10.05)",
    )
    before = lake.snapshot()
    lake.land()
    lake.sqlmesh("run")
    _assert_gold_is_right(lake)
    assert lake.query(
        "SELECT order_date, status, gross_revenue FROM gold_commerce.fct_orders "
        "WHERE order_id = 900001"
    ) == [(dt.date(2025, 3, 31), "paid", Decimal("20.10"))]
    assert lake.query(
        "SELECT order_id, rejection_reason FROM silver_commerce.quarantined_orders "
        f"WHERE order_id IN ({spoiled}, 900002) ORDER BY 1"
    ) == [(spoiled, "the status is unknown"), (900002, "the customer is unknown")]
    assert lake.query(
        "SELECT rejection_reason FROM silver_commerce.quarantined_order_items "
        "WHERE order_item_id = 900002"
    ) == [("the quantity is not positive",)]
    _assert_only_the_changed_orders_were_written(
        lake, before, {updated, cancelled, spoiled, 900001}
    )


def _assert_gold_is_right(lake: Lake) -> None:
    expected = lake.expected()
    facts = lake.query(
        "SELECT order_id, order_date, status, item_count, gross_revenue, net_revenue, paid_at "
        "FROM gold_commerce.fct_orders"
    )
    tidy = {(n, day, s.strip().lower(), *rest) for n, day, s, *rest in expected.fct_orders()}
    assert set(facts) == tidy
    assert len(facts) == len(tidy)
    days = lake.query(
        "SELECT order_date, order_count, customer_count, cancelled_order_count, gross_revenue, "
        "net_revenue FROM gold_commerce.daily_revenue"
    )
    assert {day: tuple(rest) for day, *rest in days} == expected.daily_revenue()
    stock = dict(lake.query("SELECT product_id, quantity_on_hand FROM gold_commerce.stock_levels"))
    assert {product: n for product, n in stock.items() if n} == {
        product: n for product, n in expected.stock.items() if n
    }


def _assert_only_the_changed_orders_were_written(lake: Lake, before: int, orders: set[int]) -> None:
    with lake.catalog.connect() as connection:
        found = connection.execute(
            "select schema_name, table_name from ducklake.ducklake_table t "
            "join ducklake.ducklake_schema s using (schema_id) "
            "where table_name like 'gold_commerce__fct_orders__%' and t.end_snapshot is null"
        ).fetchall()
    ((schema, table),) = found
    written = lake.query(
        f"SELECT order_id FROM ducklake_table_insertions('lake', '{schema}', '{table}', "
        f"{before + 1}, {lake.snapshot()})"
    )
    assert {row[0] for row in written} <= orders
    assert written


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("LAVRA_")}
