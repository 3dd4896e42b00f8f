"""What follows from the shop's orders: payments and movements of stock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lavra.workloads.commerce.columns import DAY_S, money, product_ids, timestamps

if TYPE_CHECKING:
    from lavra.workloads.commerce.generator import Catalogue, Items, Orders


def payments_of(rng: np.random.Generator, orders: Orders, items: Items, end_s: float) -> pa.Table:
    """Return one payment for each order, some late and some for an order nobody knows."""
    methods = np.array(["credit_card", "pix", "boleto", "voucher"])
    installments = np.where(orders.method == 0, rng.choice([1, 2, 3, 6, 10], orders.count), 1)
    amount = items.gross - orders.discount + orders.shipping
    failed = orders.unpaid & (orders.due_at + 3 * DAY_S < end_s)
    refunded = (orders.returned | orders.cancelled) & orders.is_paid
    status = np.select(
        [refunded, orders.is_paid, failed], ["refunded", "paid", "failed"], "pending"
    )
    order_id = np.arange(1, orders.count + 1)
    order_id[rng.random(orders.count) < 0.0004] += 10_000_000  # pays for no order we know
    return pa.table({
        "payment_id": np.arange(1, orders.count + 1),
        "order_id": order_id,
        "method": methods[orders.method],
        "installments": installments,
        "amount": money(amount),
        "status": status,
        "due_at": timestamps(orders.due_at),
        "paid_at": timestamps(orders.paid_at, valid=orders.is_paid),
        "updated_at": timestamps(np.maximum(orders.at, np.minimum(orders.updated_at, end_s))),
    })  # fmt: skip


def stock_movements(
    rng: np.random.Generator, orders: Orders, items: Items, catalogue: Catalogue, end_s: float
) -> pa.Table:
    """Every sold item leaves the stock, a returned one comes back, and purchases refill it."""
    sold = ~orders.cancelled[items.order]
    back = orders.returned[items.order]
    at = orders.at[items.order]
    start = float(at.min()) if items.count else end_s
    month = ((at - start) // (30 * DAY_S)).astype(int)
    months = int(month.max()) + 1 if items.count else 1
    cell = items.product * months + month
    demand = np.bincount(cell[sold], items.quantity[sold], minlength=catalogue.size * months)
    purchased = np.ceil(demand * rng.uniform(1.0, 1.25, demand.size)).astype(int)
    purchased[::months] += 3  # what the shop opened with
    bought = np.flatnonzero(purchased)
    counted = rng.choice(catalogue.size, catalogue.size // 10, replace=False)
    numbers = np.arange(1, items.count + 1)
    none = np.zeros(0, dtype=int)
    parts = (
        ("purchase", bought // months, purchased[bought], none,
         start - 3600 + (bought % months) * 30.0 * DAY_S),
        ("sale", items.product[sold], -items.quantity[sold], numbers[sold], at[sold]),
        ("return", items.product[back], items.quantity[back], numbers[back],
         orders.returned_at[items.order][back]),
        ("adjustment", counted, rng.choice([-1, 1, 2], counted.size), none,
         rng.uniform(start, end_s, counted.size)),
    )  # fmt: skip
    kinds = np.concatenate([np.repeat(name, product.size) for name, product, *_ in parts])
    moved = np.concatenate([part[4] for part in parts])
    item = np.concatenate([p[3] if p[3].size else np.zeros(p[1].size, dtype=int) for p in parts])
    order = np.argsort(moved, kind="stable")
    return pa.table({
        "movement_id": np.arange(1, moved.size + 1),
        "product_id": product_ids(np.concatenate([p[1] for p in parts])[order]),
        "kind": kinds[order],
        "quantity": np.concatenate([part[2] for part in parts])[order],
        "order_item_id": pa.array(item[order], mask=item[order] == 0),
        "moved_at": timestamps(moved[order]),
        "updated_at": timestamps(moved[order]),
    })  # fmt: skip
