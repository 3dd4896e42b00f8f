"""Gold's facts computed a second time: from the source itself, in plain Python."""

from __future__ import annotations

import csv
import datetime as dt
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row

Row = dict[str, Any]
STATUSES = {"placed", "paid", "shipped", "delivered", "returned", "cancelled"}
CHANNELS = {"web", "app", "marketplace", "store"}


class IndependentShop:
    """The shop's facts as the rules of the models say, without any of their SQL.

    Attributes:
        orders: Accepted orders by identifier, with their measures.
        items: Accepted lines.
        rejected_orders, rejected_items, rejected_payments: Identifiers of what is refused.
    """

    def __init__(self, url: str, catalogue: Path, time_zone: str) -> None:
        self._zone = ZoneInfo(time_zone)
        products = {row["Product ID"] for row in _csv(catalogue / "products.csv")}
        sellers = {row["Seller ID"] for row in _csv(catalogue / "sellers.csv")}
        with psycopg.connect(url, row_factory=dict_row) as connection:
            tables = {
                name: connection.execute(f"select * from {name}").fetchall()
                for name in ("customers", "orders", "order_items", "payments", "stock_movements")
            }
        customers = {
            c["customer_id"]
            for c in tables["customers"]
            if c["name"].strip() and c["signed_up_at"] <= c["updated_at"] + dt.timedelta(days=1)
        }
        self.orders = {o["order_id"]: o for o in tables["orders"] if self._is_good(o, customers)}
        self.rejected_orders = {o["order_id"] for o in tables["orders"]} - set(self.orders)
        self.items = [
            i
            for i in tables["order_items"]
            if i["order_id"] in self.orders
            and i["product_id"] in products
            and i["seller_id"] in sellers
            and i["quantity"] > 0
            and i["unit_price"] >= 0
        ]
        self.rejected_items = {i["order_item_id"] for i in tables["order_items"]} - {
            i["order_item_id"] for i in self.items
        }
        self.rejected_payments = {
            p["payment_id"] for p in tables["payments"] if p["order_id"] not in self.orders
        }
        self.stock: dict[str, int] = defaultdict(int)
        for movement in tables["stock_movements"]:
            self.stock[movement["product_id"]] += movement["quantity"]
        self._measure(tables["payments"])

    def _is_good(self, order: Row, customers: set[int]) -> bool:
        return (
            order["customer_id"] in customers
            and order["status"].strip().lower() in STATUSES
            and order["channel"].strip().lower() in CHANNELS
            and order["ordered_at"] <= order["updated_at"] + dt.timedelta(days=1)
            and order["discount"] >= 0
            and order["shipping"] >= 0
        )

    def _measure(self, payments: list[Row]) -> None:
        gross: dict[int, Decimal] = defaultdict(Decimal)
        units: dict[int, int] = defaultdict(int)
        for item in self.items:
            gross[item["order_id"]] += item["quantity"] * item["unit_price"]
            units[item["order_id"]] += item["quantity"]
        paid: dict[int, dt.datetime] = {}
        for payment in payments:
            at, order = payment["paid_at"], payment["order_id"]
            if at is not None and at < paid.get(order, dt.datetime.max.replace(tzinfo=dt.UTC)):
                paid[order] = at
        for number, order in self.orders.items():
            lost = order["status"] in ("cancelled", "returned")
            order |= {
                "order_date": order["ordered_at"].astimezone(self._zone).date(),
                "gross_revenue": gross[number],
                "item_count": units[number],
                "net_revenue": Decimal(0) if lost else gross[number] - order["discount"],
                "paid_at": paid.get(number),
            }

    def fct_orders(self) -> set[tuple[Any, ...]]:
        """``order_id, order_date, status, item_count, gross, net, paid_at`` of each order."""
        return {
            (
                number, o["order_date"], o["status"], o["item_count"], o["gross_revenue"],
                o["net_revenue"], o["paid_at"] and o["paid_at"].replace(tzinfo=None),
            )
            for number, o in ((n, self._in_utc(o)) for n, o in self.orders.items())
        }  # fmt: skip

    def daily_revenue(self) -> dict[dt.date, tuple[int, int, int, Decimal, Decimal]]:
        """By day: orders, buyers, cancelled orders, gross and net revenue."""
        days: dict[dt.date, list[Row]] = defaultdict(list)
        for order in self.orders.values():
            days[order["order_date"]].append(order)
        return {
            day: (
                sum(o["status"] != "cancelled" for o in orders),
                len({o["customer_id"] for o in orders if o["status"] != "cancelled"}),
                sum(o["status"] == "cancelled" for o in orders),
                sum((o["gross_revenue"] for o in orders if o["status"] != "cancelled"), Decimal()),
                sum((o["net_revenue"] for o in orders), Decimal()),
            )
            for day, orders in days.items()
        }

    @staticmethod
    def _in_utc(order: Row) -> Row:
        at = order["paid_at"]
        return order | {"paid_at": at and at.astimezone(dt.UTC)}


def _csv(path: Path) -> list[dict[str, str]]:
    text = None
    for encoding in ("utf-8-sig", "latin-1"):
        try:
            text = path.read_text(encoding=encoding)
            break
        except UnicodeDecodeError:
            continue
    assert text is not None
    dialect = csv.Sniffer().sniff(text.split("\n", 1)[0], delimiters=",;\t")
    return list(csv.DictReader(text.splitlines(), delimiter=dialect.delimiter))
