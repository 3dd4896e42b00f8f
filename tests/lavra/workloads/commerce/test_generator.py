"""The shop's history: the same for the same seed, and shaped like a shop's."""

import datetime as dt

import duckdb
import pytest

from lavra.workloads.commerce.generator import Shop, generate

END = dt.datetime(2026, 3, 10, 15, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return generate(seed=3, scale=0.2, end=END)


def query(shop: Shop, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name in ("customers", "orders", "order_items", "payments", "stock_movements"):
            connection.register(name, getattr(shop, name))
        return connection.execute(sql).fetchall()


def test_same_seed_same_rows() -> None:
    first, second = (generate(seed=5, scale=0.01, end=END) for _ in range(2))
    assert first == second
    assert generate(seed=6, scale=0.01, end=END).orders != first.orders


def test_sizes_follow_the_scale(shop: Shop) -> None:
    assert shop.customers.num_rows == 4_000
    assert 10_000 < shop.orders.num_rows < 20_000
    assert shop.order_items.num_rows > shop.orders.num_rows


def test_orders_follow_customers_and_reach_the_end(shop: Shop) -> None:
    assert query(
        shop,
        "select count(*) from orders o left join customers c using (customer_id) "
        "where c.customer_id is null or o.ordered_at < c.signed_up_at",
    ) == [(0,)]
    days = query(shop, "select count(distinct ordered_at::date) from orders")
    assert days[0][0] >= 790
    last = query(shop, f"select max(ordered_at) > timestamptz '{END}' - interval 1 day "
                       f"from orders where ordered_at <= timestamptz '{END}'")  # fmt: skip
    assert last == [(True,)]


def test_customers_return_and_black_friday_shows(shop: Shop) -> None:
    [(share,)] = query(
        shop,
        "select avg((n > 1)::int) from (select count(*) n from orders group by customer_id)",
    )
    assert 0.3 < float(str(share)) < 0.9
    [(ratio,)] = query(
        shop,
        "select count(*) filter (ordered_at::date between '2025-11-28' and '2025-11-29') / 2.0"
        " / (count(*) filter (ordered_at::date between '2025-10-01' and '2025-10-31') / 31.0)"
        " from orders",
    )
    assert float(str(ratio)) > 1.5


def test_stock_agrees_with_sales(shop: Shop) -> None:
    assert query(
        shop,
        "select count(*) from stock_movements m left join order_items i using (order_item_id) "
        "where m.kind = 'sale' and m.quantity <> -abs(i.quantity) and i.quantity > 0",
    ) == [(0,)]
    [(lowest,)] = query(
        shop,
        "select min(on_hand) from (select sum(quantity) over (partition by product_id "
        "order by movement_id) on_hand from stock_movements where kind <> 'adjustment')",
    )
    assert int(str(lowest)) >= 0


@pytest.mark.parametrize(
    "dirty",
    [
        "from order_items where quantity <= 0",
        "from order_items where product_id in ('P-99999', '?')",
        "from customers where email is null or email not like '%_@_%.__%'",
        "from customers where state is null",
        "from customers where city <> trim(city) or city = upper(city)",
        "from (select lower(email) from customers group by 1 having count(*) > 1)",
        f"from orders where ordered_at > timestamptz '{END}'",
        "from payments p anti join orders o using (order_id)",
        "from payments where paid_at > due_at",
        "from orders where status = 'cancelled'",
    ],
)
def test_dirty_and_awkward_rows_are_there_but_few(shop: Shop, dirty: str) -> None:
    [(count,)] = query(shop, f"select count(*) {dirty}")
    assert 0 < int(str(count)) < 0.16 * shop.customers.num_rows


def test_a_tiny_shop_is_whole() -> None:
    tiny = generate(scale=0.001, end=END, days=30)
    assert tiny.customers.num_rows == 20
    assert tiny.products.num_rows == 60
