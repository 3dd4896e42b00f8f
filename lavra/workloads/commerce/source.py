"""The shop's source systems on this machine: a Postgres of its own and a folder of CSV files."""

from __future__ import annotations

import datetime as dt
import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from lavra.catalog.local_postgres import LocalPostgres
from lavra.workloads.servers import copy_rows, filling, scalar, touch_on_update, workload_server

if TYPE_CHECKING:
    import pyarrow as pa

    from lavra.settings import Settings
    from lavra.workloads.commerce.generator import Shop

DATABASE = "shop"
SEED = 7
TABLES = {
    "customers": "customer_id",
    "orders": "order_id",
    "order_items": "order_item_id",
    "payments": "payment_id",
    "stock_movements": "movement_id",
}
"""The source's tables and their keys."""

_NEXT_STATUS = {"placed": "paid", "paid": "shipped", "shipped": "delivered"}


@dataclass(frozen=True)
class CommerceSource:
    """Where the shop's data is.

    Attributes:
        url: The Postgres database's URL.
        catalogue: The folder of ``products.csv``, ``sellers.csv`` and ``categories.csv``.
    """

    url: str
    catalogue: Path


def source_server(settings: Settings) -> LocalPostgres:
    """Return this process's handle on the shop's Postgres; it may not be started."""
    return workload_server(settings, "commerce")


def ensure_source(
    settings: Settings, *, seed: int = SEED, end: dt.datetime | None = None
) -> CommerceSource:
    """Start the shop's Postgres, fill it on the first call, and return where everything is.

    What is there stays: a second call neither adds nor changes a row. The database is filled in
    one transaction, so a crash leaves it empty and the next call fills it; calls at the same
    time wait for the first. The size is the setting ``workload_scale``.

    Args:
        settings: Of the lake that the shop belongs to.
        seed: Of the generator.
        end: The end of the shop's history; now, when not given.

    Raises:
        CatalogUnavailable: the Postgres server does not start.
    """
    server = source_server(settings)
    server.start()
    source = CommerceSource(server.url(DATABASE), server.folder / "catalogue")
    with filling(server, DATABASE) as connection:
        made = _made(connection)
        files_missing = not (source.catalogue / "products.csv").exists()
        if made is None or files_missing:
            from lavra.workloads.commerce.catalogue import write_catalogue  # noqa: PLC0415
            from lavra.workloads.commerce.generator import generate  # noqa: PLC0415

            seed, scale, until = made or (
                seed, settings.workload_scale, end or dt.datetime.now(dt.UTC),
            )  # fmt: skip
            shop = generate(seed=seed, scale=scale, end=until)
            write_catalogue(shop, source.catalogue)
            if made is None:
                _fill(connection, shop, seed, scale, until)
    return source


def pass_day(
    source: CommerceSource, *, orders: int = 120, at: dt.datetime | None = None, seed: int = 1
) -> dict[str, int]:
    """Let a day pass in the shop: orders move on a stage, new customers and orders arrive.

    Args:
        source: From :func:`ensure_source`.
        orders: How many orders arrive; a fifth as many customers sign up.
        at: The end of the day; now, when not given.
        seed: Same seed and same database, same rows.

    Returns:
        Rows added by table, and under ``updated`` the orders that moved on.
    """
    chance = random.Random(seed)  # noqa: S311 - a workload, not a secret
    end = at or dt.datetime.now(dt.UTC)
    with psycopg.connect(source.url) as connection:
        connection.execute("lock table orders in share row exclusive mode")
        updated = _move_on(connection, chance)
        day = _Day(connection, chance, end)
        for _ in range(orders // 5):
            day.sign_up()
        for _ in range(orders):
            day.order()
        for table, rows in day.rows.items():
            _copy_rows(connection, table, rows)
    return {table: len(rows) for table, rows in day.rows.items()} | {"updated": updated}


class _Day:
    """The rows of one day, with identifiers that follow those of the database."""

    def __init__(
        self, connection: psycopg.Connection, chance: random.Random, end: dt.datetime
    ) -> None:
        self.rows: dict[str, list[Sequence[Any]]] = {table: [] for table in TABLES}
        self._chance, self._end = chance, end
        self._next = {
            table: scalar(
                connection,
                sql.SQL("select coalesce(max({}), 0) + 1 from {}").format(
                    sql.Identifier(key), sql.Identifier(table)
                ),
            )
            for table, key in TABLES.items()
        }
        self._customers = connection.execute(
            "select customer_id, city, state from customers order by customer_id desc limit 5000"
        ).fetchall()
        # What sold lately is what sells today.
        self._offers = connection.execute(
            "select product_id, seller_id, unit_price from order_items "
            "where quantity > 0 and product_id like 'P-0%' order by order_item_id desc limit 2000"
        ).fetchall()

    def _new_id(self, table: str) -> int:
        self._next[table] += 1
        return int(self._next[table]) - 1

    def sign_up(self) -> None:
        key = self._new_id("customers")
        _, city, state = self._chance.choice(self._customers)
        self.rows["customers"].append(
            (key, f"Cliente Novo {key}", f"cliente{key}@example.com.br", None, city, state, True,
             self._moment())
        )  # fmt: skip
        self._customers.append((key, city, state))

    def order(self) -> None:
        chance, order_id, at = self._chance, self._new_id("orders"), self._moment()
        customer_id, city, state = chance.choice(self._customers)
        shipping = round(chance.uniform(8, 40), 2)
        total = shipping
        for _ in range(1 + (chance.random() < 0.4)):
            product, seller, price = chance.choice(self._offers)
            item, quantity = self._new_id("order_items"), 1 + (chance.random() < 0.15)
            total += float(price) * quantity
            self.rows["order_items"].append((item, order_id, product, seller, quantity, price))
            movement = self._new_id("stock_movements")
            self.rows["stock_movements"].append((movement, product, "sale", -quantity, item, at))
        self.rows["orders"].append(
            (order_id, customer_id, at, "paid", chance.choice(("web", "app", "marketplace")), None,
             0, shipping, city, state)
        )  # fmt: skip
        self.rows["payments"].append(
            (self._new_id("payments"), order_id, chance.choice(("credit_card", "pix")), 1,
             round(total, 2), "paid", at + dt.timedelta(minutes=30), at + dt.timedelta(minutes=2))
        )  # fmt: skip

    def _moment(self) -> dt.datetime:
        return self._end - dt.timedelta(seconds=self._chance.randrange(86_400))


def _move_on(connection: psycopg.Connection, chance: random.Random) -> int:
    rows = connection.execute(
        "select order_id, status from orders where status in ('placed', 'paid', 'shipped') "
        "order by order_id"
    ).fetchall()
    moved = [
        (_NEXT_STATUS[status], order_id) for order_id, status in rows if chance.random() < 0.25
    ]
    with connection.cursor() as cursor:
        cursor.executemany("update orders set status = %s where order_id = %s", moved)
    return len(moved)


def _copy_rows(connection: psycopg.Connection, table: str, rows: Iterable[Sequence[Any]]) -> None:
    columns = [
        name
        for (name,) in connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 "
            "and attname <> 'updated_at' order by attnum",
            (table,),
        ).fetchall()
    ]
    copy_rows(connection, table, columns, rows)


def _made(connection: psycopg.Connection) -> tuple[int, float, dt.datetime] | None:
    if scalar(connection, sql.SQL("select to_regclass('workload.made') is null")):
        return None
    return connection.execute("select seed, scale, end_at from workload.made").fetchone()


def _fill(
    connection: psycopg.Connection, shop: Shop, seed: int, scale: float, end: dt.datetime
) -> None:
    connection.execute((files(__package__) / "schema.sql").read_bytes())
    for table in TABLES:
        _copy_table(connection, table, getattr(shop, table))
    for table in TABLES:
        name = sql.Identifier(table)
        connection.execute(sql.SQL("create index on {} (updated_at)").format(name))
        touch_on_update(connection, table)
    connection.execute(
        "create schema workload; create table workload.made "
        "(seed bigint, scale double precision, end_at timestamptz)"
    )
    connection.execute("insert into workload.made values (%s, %s, %s)", (seed, scale, end))


def _copy_table(connection: psycopg.Connection, name: str, table: pa.Table) -> None:
    import pyarrow.csv as pacsv  # noqa: PLC0415

    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, table.column_names))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in table.to_batches(max_chunksize=50_000):
            buffer = io.BytesIO()
            pacsv.write_csv(batch, buffer, pacsv.WriteOptions(include_header=False))
            copy.write(buffer.getvalue())


def leave(settings: Settings) -> None:
    """Give up this process's hold on the shop's Postgres; the last one to leave stops it."""
    source_server(settings).leave()
