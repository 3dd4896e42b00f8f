"""Changes of the shop's source that reach old days, dirty rows among them, and what they become."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from lavra.catalog import Catalog
from tests.sqlmesh_project.independent import IndependentShop

Query = Callable[[str], list[tuple[Any, ...]]]


class LateChanges:
    """Three old orders changed, two added with lines, one column added.

    Args:
        query: Answers SQL over the lake's Silver and Gold, before the changes.
    """

    def __init__(self, query: Query) -> None:
        self.updated, self.cancelled, self.spoiled = (
            row[0]
            for row in query(
                "SELECT order_id FROM gold_commerce.fct_orders "
                "WHERE status = 'delivered' AND gross_revenue > 0 ORDER BY ordered_at LIMIT 3"
            )
        )
        ((customer,),) = query("SELECT min(customer_id) FROM gold_commerce.dim_customers")
        ((product, seller),) = query(
            "SELECT product_id, seller_id FROM silver_commerce.products ORDER BY 1 LIMIT 1"
        )
        local = dt.datetime(2025, 3, 31, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-3)))
        order = "insert into orders (order_id, customer_id, ordered_at, status, channel) values "
        self.statements = (
            "alter table orders add column gift_note text",
            (
                "update orders set discount = discount + 0.01, gift_note = 'x' "
                f"where order_id = {self.updated}"
            ),
            f"update orders set status = 'cancelled' where order_id = {self.cancelled}",
            f"update orders set status = 'eaten' where order_id = {self.spoiled}",
            f"{order} (900001, {customer}, '{local.isoformat()}', ' PAID ', 'Web')",
            f"{order} (900002, 123456789, '{local.isoformat()}', 'paid', 'web')",
            (
                "insert into order_items (order_item_id, order_id, product_id, seller_id, "
                "quantity, unit_price) values "
                f"(900001, 900001, '{product}', '{seller}', 2, 10.05), "
                f"(900002, 900001, '{product}', '{seller}', 0, 10.05)"
            ),
        )

    @property
    def orders(self) -> set[int]:
        """The orders of which Gold may write rows."""
        return {self.updated, self.cancelled, self.spoiled, 900001}

    def check(self, query: Query) -> None:
        """Assert that the added order is on its day and the dirty rows are set aside."""
        assert query(
            "SELECT order_date, status, gross_revenue FROM gold_commerce.fct_orders "
            "WHERE order_id = 900001"
        ) == [(dt.date(2025, 3, 31), "paid", Decimal("20.10"))]
        assert query(
            "SELECT order_id, rejection_reason FROM silver_commerce.quarantined_orders "
            f"WHERE order_id IN ({self.spoiled}, 900002) ORDER BY 1"
        ) == [(self.spoiled, "the status is unknown"), (900002, "the customer is unknown")]
        assert query(
            "SELECT rejection_reason FROM silver_commerce.quarantined_order_items "
            "WHERE order_item_id = 900002"
        ) == [("the quantity is not positive",)]


def newest_snapshot(query: Query) -> int:
    """Return the number of the lake's newest snapshot."""
    return int(query("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0])


def orders_written_since(query: Query, catalog: Catalog, before: int) -> set[int]:
    """Return the orders of which Gold wrote rows after snapshot ``before``."""
    with catalog.connect() as connection:
        found = connection.execute(
            "select schema_name, table_name from ducklake.ducklake_table t "
            "join ducklake.ducklake_schema s using (schema_id) "
            "where table_name like 'gold_commerce__fct_orders__%' and t.end_snapshot is null"
        ).fetchall()
    ((schema, table),) = found
    written = query(
        f"SELECT order_id FROM ducklake_table_insertions('lake', '{schema}', '{table}', "
        f"{before + 1}, {newest_snapshot(query)})"
    )
    return {row[0] for row in written}


def assert_gold_is_right(query: Query, expected: IndependentShop) -> None:
    """Compare facts, days and stock with those computed from the source itself."""
    facts = query(
        "SELECT order_id, order_date, status, item_count, gross_revenue, net_revenue, paid_at "
        "FROM gold_commerce.fct_orders"
    )
    tidy = {(n, day, s.strip().lower(), *rest) for n, day, s, *rest in expected.fct_orders()}
    assert set(facts) == tidy
    assert len(facts) == len(tidy)
    days = query(
        "SELECT order_date, order_count, customer_count, cancelled_order_count, gross_revenue, "
        "net_revenue FROM gold_commerce.daily_revenue"
    )
    assert {day: tuple(rest) for day, *rest in days} == expected.daily_revenue()
    stock = dict(query("SELECT product_id, quantity_on_hand FROM gold_commerce.stock_levels"))
    assert {product: n for product, n in stock.items() if n} == {
        product: n for product, n in expected.stock.items() if n
    }
    quarantined = query("SELECT order_item_id FROM silver_commerce.quarantined_order_items")
    assert {row[0] for row in quarantined} == expected.rejected_items
