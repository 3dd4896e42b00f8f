"""The shop's history, drawn from one seed: the same arguments give the same rows.

Orders are laid out in *shop time*, in which they arrive evenly, and bent into the calendar by
the shop's growth, its weekdays and its seasons. So every customer's rhythm follows the seasons
without a loop over days.
"""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lavra.workloads.commerce import reference as ref

DEFAULT_CUSTOMERS = 20_000
DEFAULT_DAYS = 800
UTC_OFFSET_S = -3 * 3600  # Brasília has had no summer time since 2019
DAY_S = 86_400

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Shop:
    """A shop's tables: the catalogue's as they are in its CSV files, the rest as in Postgres."""

    categories: pa.Table
    sellers: pa.Table
    products: pa.Table
    customers: pa.Table
    orders: pa.Table
    order_items: pa.Table
    payments: pa.Table
    stock_movements: pa.Table


def generate(
    *, seed: int = 7, scale: float = 1.0, end: dt.datetime, days: int = DEFAULT_DAYS
) -> Shop:
    """Return a shop's history up to ``end``.

    Args:
        seed: Same seed, same rows.
        scale: 1 gives about 20,000 customers and 80,000 orders.
        end: The last moment of the history, with a time zone.
        days: How far back it goes.
    """
    rng = np.random.default_rng(seed)
    catalogue = _Catalogue(rng, scale)
    end_s = end.timestamp()
    customers = _Customers(rng, max(20, round(DEFAULT_CUSTOMERS * scale)), end_s, days)
    orders = _Orders(rng, customers, end_s)
    items = _Items(rng, orders, catalogue, end_s)
    payments = _payments(rng, orders, items, end_s)
    return Shop(
        categories=catalogue.categories(),
        sellers=catalogue.sellers(),
        products=catalogue.products(),
        customers=customers.table(rng),
        orders=orders.table(rng, end_s),
        order_items=items.table(rng),
        payments=payments,
        stock_movements=_stock_movements(rng, orders, items, catalogue, end_s),
    )


class _Calendar:
    """Bends shop time (0 to 1) into seconds since the epoch."""

    def __init__(self, rng: np.random.Generator, end_s: float, days: int) -> None:
        last_day = math.floor((end_s + UTC_OFFSET_S) / DAY_S)
        self.first_day = last_day - days + 1
        days_of_epoch = np.arange(self.first_day, last_day + 1)
        dates = days_of_epoch.astype("datetime64[D]")
        months = dates.astype("datetime64[M]").astype(int) % 12
        day_of_month = (dates - dates.astype("datetime64[M]")).astype(int) + 1
        weekdays = (days_of_epoch + 3) % 7  # 1970-01-01 was a Thursday
        intensity = 1.12 ** (np.arange(days) / 365.0)
        intensity *= np.array(ref.MONTHS)[months] * np.array(ref.WEEKDAYS)[weekdays]
        black_friday = (months == 10) & (weekdays == 4) & (day_of_month > 22)
        intensity *= np.where(black_friday, 3.2, 1.0) * rng.normal(1.0, 0.06, days).clip(0.7)
        hours = np.outer(intensity, np.array(ref.HOURS)).ravel()
        start = self.first_day * DAY_S - UTC_OFFSET_S
        edges = start + 3600.0 * np.arange(hours.size + 1)
        cumulative = np.concatenate(([0.0], np.cumsum(hours)))
        cut = float(np.interp(end_s, edges, cumulative))
        self._edges, self._cumulative = edges, cumulative / cut

    def to_seconds(self, shop_time: Array) -> Array:
        return np.asarray(np.interp(shop_time, self._cumulative, self._edges))


class _Catalogue:
    def __init__(self, rng: np.random.Generator, scale: float) -> None:
        self.size = max(60, round(1_500 * math.sqrt(scale)))
        self.seller_count = max(8, round(120 * math.sqrt(scale)))
        shares = np.array([category[3] for category in ref.CATEGORIES])
        self.category = rng.choice(len(ref.CATEGORIES), self.size, p=shares / shares.sum())
        typical = np.array([category[4] for category in ref.CATEGORIES], dtype=float)
        weights = np.array([category[5] for category in ref.CATEGORIES], dtype=float)
        price = typical[self.category] * rng.lognormal(0.0, 0.55, self.size)
        self.price = np.floor(price.clip(5, 5_000)) + 0.90
        self.weight = np.round(weights[self.category] * rng.lognormal(0.0, 0.5, self.size))
        self.seller = _long_tail(rng, self.seller_count, self.size, exponent=0.8)
        # A few products make most of the sales, a long tail makes the rest.
        rank = rng.permutation(self.size) + 1
        self.popularity = rank**-0.95 / (rank**-0.95).sum()
        self._rng = rng
        self._seller_place = _places(rng, self.seller_count)

    @staticmethod
    def product_ids(index: Array) -> pa.Array:
        return pa.array([f"P-{number:05d}" for number in index + 1])

    @staticmethod
    def seller_ids(index: Array) -> pa.Array:
        return pa.array([f"S-{number:04d}" for number in index + 1])

    def categories(self) -> pa.Table:
        rows = [{"Category": c[0], "Category EN": c[1], "Department": c[2]} for c in ref.CATEGORIES]
        return pa.Table.from_pylist(rows)

    def sellers(self) -> pa.Table:
        count, rng = self.seller_count, self._rng
        states, cities = self._seller_place
        words = rng.integers(0, len(ref.SELLER_WORDS), count)
        names = rng.integers(0, len(ref.SELLER_NAMES), count)
        commission = rng.choice([8.5, 10.0, 12.5, 14.0], count)
        zip_codes = rng.integers(1_000, 99_999, count)
        return pa.table({
            "Seller ID": self.seller_ids(np.arange(count)),
            "Name": [f"{ref.SELLER_WORDS[w]} {ref.SELLER_NAMES[n]}"
                     for w, n in zip(words, names, strict=True)],
            "City": cities,
            "State": states,
            "ZIP Code": [f"{number:05d}" for number in zip_codes],
            "Commission (%)": [f"{value:.1f}".replace(".", ",") for value in commission],
        })  # fmt: skip

    def products(self) -> pa.Table:
        rng, size = self._rng, self.size
        kinds = [ref.CATEGORIES[c][6] for c in self.category]
        picks = rng.integers(0, 1 << 30, size)
        adjectives = rng.integers(0, len(ref.ADJECTIVES), size)
        sizes = rng.integers(0, len(ref.SIZES), size)
        names = [
            f"{kind[pick % len(kind)]} {ref.ADJECTIVES[a]}, {ref.SIZES[s]}"
            for kind, pick, a, s in zip(kinds, picks, adjectives, sizes, strict=True)
        ]
        launched = dt.date(2019, 1, 1).toordinal() + rng.integers(0, 1_400, size)
        missing = rng.random(size) < 0.02
        return pa.table({
            "Product ID": self.product_ids(np.arange(size)),
            "Name": names,
            "Category": [None if m and i % 2 else ref.CATEGORIES[c][0]
                         for i, (c, m) in enumerate(zip(self.category, missing, strict=True))],
            "Price (BRL)": [f"{price:.2f}" for price in self.price],
            "Weight (g)": [None if m else int(w)
                           for w, m in zip(self.weight, missing, strict=True)],
            "Seller ID": self.seller_ids(self.seller),
            "Barcode": [f"{number:013d}" for number in rng.integers(10**9, 10**12, size)],
            "Launched On": [dt.date.fromordinal(int(day)) for day in launched],
        })  # fmt: skip


class _Customers:
    def __init__(self, rng: np.random.Generator, count: int, end_s: float, days: int) -> None:
        self.count = count
        self.calendar = _Calendar(rng, end_s, days)
        self.signed_up = np.sort(rng.random(count) ** 1.5)  # in shop time
        self.states, self.cities = _places(rng, count)

    def table(self, rng: np.random.Generator) -> pa.Table:
        count = self.count
        first = rng.integers(0, len(ref.FIRST_NAMES), count)
        last = rng.integers(0, len(ref.LAST_NAMES), count)
        names = [
            f"{ref.FIRST_NAMES[f]} {ref.LAST_NAMES[s]}" for f, s in zip(first, last, strict=True)
        ]
        numbers = rng.integers(1, 9_999, count)
        emails: list[str | None] = [
            f"{_ascii(name)}{number}@example.com.br"
            for name, number in zip(names, numbers, strict=True)
        ]
        signed_up = self.calendar.to_seconds(self.signed_up)
        # Somebody who forgot the account and made another: same person, other case.
        twins = np.flatnonzero(rng.random(count) < 0.006)
        for twin in twins[twins > 0]:
            names[twin] = names[twin - 1].upper()
            emails[twin] = (emails[twin - 1] or "").upper()
        for index in np.flatnonzero(rng.random(count) < 0.008):
            emails[index] = _spoiled_email(emails[index] or "", int(index))
        cities, states = list(self.cities), list(self.states)
        for index in np.flatnonzero(rng.random(count) < 0.10):
            cities[index] = _spoiled_text(cities[index], int(index))
        for index in np.flatnonzero(rng.random(count) < 0.012):
            states[index] = None if index % 3 else states[index].lower()
        phones = rng.integers(10**7, 10**8, count)
        return pa.table({
            "customer_id": np.arange(1, count + 1),
            "name": names, "email": emails,
            "phone": [None if n % 13 == 0 else f"+55119{n}" for n in phones],
            "city": cities, "state": states,
            "marketing_opt_in": rng.random(count) < 0.35,
            "signed_up_at": _timestamps(signed_up), "updated_at": _timestamps(signed_up),
        })  # fmt: skip


class _Orders:
    """One element per order, in order of time."""

    def __init__(self, rng: np.random.Generator, customers: _Customers, end_s: float) -> None:
        rhythm = rng.lognormal(0.45, 0.95, customers.count)
        wanted = 1 + rng.poisson(rhythm * 1.9)
        wanted[rng.random(customers.count) < 0.07] = 0  # signed up, never bought
        customer = np.repeat(np.arange(customers.count), wanted)
        first = (
            np.concatenate(([True], customer[1:] != customer[:-1])) if customer.size else customer
        )
        gap = rng.exponential(0.11, customer.size)
        gap = np.where(first, rng.exponential(0.004, customer.size), gap)
        run = np.cumsum(gap)
        before = np.maximum.accumulate(np.where(first, run - gap, -np.inf))
        shop_time = customers.signed_up[customer] + (run - before)
        kept = shop_time < 1.0
        order = np.argsort(shop_time[kept], kind="stable")
        self.customer = customer[kept][order]
        self.at = customers.calendar.to_seconds(shop_time[kept][order])
        self.count = self.customer.size
        self.cities = customers.cities[self.customer]
        self.states = customers.states[self.customer]
        self.method = rng.choice(4, self.count, p=[0.52, 0.30, 0.15, 0.03])
        draw = rng.random(self.count)
        never_paid = np.where(self.method == 2, 0.09, np.where(self.method == 0, 0.025, 0.004))
        self.cancelled = draw < never_paid + 0.015
        self.unpaid = draw < never_paid
        pay_delay = rng.exponential(240.0, self.count)  # minutes for cards and pix
        boleto_delay = rng.gamma(2.2, 0.95 * DAY_S, self.count)
        self.paid_at = self.at + np.where(self.method == 2, boleto_delay, pay_delay)
        self.due_at = self.at + np.where(self.method == 2, 3.0 * DAY_S, 0.5 * 3600)
        self.is_paid = ~self.unpaid & (self.paid_at <= end_s)
        shipped = self.paid_at + rng.gamma(2.0, 0.6 * DAY_S, self.count)
        delivered = shipped + rng.gamma(3.0, 1.7 * DAY_S, self.count)
        returned = delivered + rng.gamma(2.0, 3.0 * DAY_S, self.count)
        cancelled_at = self.at + np.where(self.unpaid, 6.0 * DAY_S, 0.4 * DAY_S)
        self.returned = (rng.random(self.count) < 0.035) & (returned <= end_s) & ~self.cancelled
        self.cancelled &= cancelled_at <= end_s
        self.returned_at = returned
        stages = (
            ("placed", self.at, np.ones(self.count, dtype=bool)),
            ("paid", self.paid_at, self.is_paid),
            ("shipped", shipped, self.is_paid & (shipped <= end_s)),
            ("delivered", delivered, self.is_paid & (delivered <= end_s)),
            ("returned", returned, self.returned & self.is_paid),
            ("cancelled", cancelled_at, self.cancelled),
        )
        self.stage = np.zeros(self.count, dtype=int)
        self.updated_at = self.at.copy()
        for number, (_, at, reached) in enumerate(stages):
            self.stage = np.where(reached, number, self.stage)
            self.updated_at = np.where(reached, at, self.updated_at)
        self.statuses = np.array([name for name, _, _ in stages])
        self.discount = np.zeros(self.count)
        self.shipping = np.round(rng.gamma(3.0, 6.5, self.count), 2)
        self.coupon = np.where(rng.random(self.count) < 0.12, rng.integers(0, 3, self.count), 3)

    def table(self, rng: np.random.Generator, end_s: float) -> pa.Table:
        channel = rng.choice(4, self.count, p=[0.44, 0.36, 0.15, 0.05])
        coupons = np.array(["BEMVINDO", "FRETE10", "VOLTA5", None], dtype=object)
        at = self.at.copy()
        # A client with a wrong clock: these orders claim to be from the future.
        dirty = rng.random(self.count) < 0.0006
        at[dirty] = end_s + rng.uniform(20, 400, int(dirty.sum())) * DAY_S
        return pa.table({
            "order_id": np.arange(1, self.count + 1),
            "customer_id": self.customer + 1,
            "ordered_at": _timestamps(at),
            "status": self.statuses[self.stage],
            "channel": np.array(["web", "app", "marketplace", "store"])[channel],
            "coupon": pa.array(coupons[self.coupon], pa.string()),
            "discount": _money(self.discount), "shipping": _money(self.shipping),
            "ship_to_city": self.cities, "ship_to_state": self.states,
            "updated_at": _timestamps(self.updated_at),
        })  # fmt: skip


class _Items:
    """One element per order item."""

    def __init__(
        self, rng: np.random.Generator, orders: _Orders, catalogue: _Catalogue, end_s: float
    ) -> None:
        per_order = 1 + rng.poisson(0.55, orders.count) + (rng.random(orders.count) < 0.08)
        self.order = np.repeat(np.arange(orders.count), per_order)
        self.count = self.order.size
        self.product = rng.choice(catalogue.size, self.count, p=catalogue.popularity)
        self.seller = catalogue.seller[self.product]
        self.quantity = 1 + (rng.random(self.count) < 0.14) + rng.poisson(0.05, self.count)
        years = (orders.at[self.order] - end_s) / (365.0 * DAY_S)
        price = catalogue.price[self.product] * 1.045**years
        promotion = np.where(rng.random(self.count) < 0.10, rng.uniform(0.75, 0.95, self.count), 1)
        self.price = np.round(price * promotion, 2)
        self.gross = np.bincount(self.order, self.price * self.quantity, minlength=orders.count)
        share = np.array([0.10, 0.0, 0.05, 0.0])[orders.coupon]
        orders.discount = np.round(self.gross * share, 2)
        orders.shipping = np.where((orders.coupon == 1) | (self.gross > 250), 0.0, orders.shipping)
        self.updated_at = orders.at[self.order]

    def table(self, rng: np.random.Generator) -> pa.Table:
        quantity = self.quantity.copy()
        wrong = rng.random(self.count) < 0.0012
        quantity[wrong] = -quantity[wrong] * (rng.random(int(wrong.sum())) < 0.7)
        products = _Catalogue.product_ids(self.product).to_pylist()
        for index in np.flatnonzero(rng.random(self.count) < 0.0012):
            products[index] = "P-99999" if index % 2 else "?"
        return pa.table({
            "order_item_id": np.arange(1, self.count + 1),
            "order_id": self.order + 1,
            "product_id": products,
            "seller_id": _Catalogue.seller_ids(self.seller),
            "quantity": quantity,
            "unit_price": _money(self.price),
            "updated_at": _timestamps(self.updated_at),
        })  # fmt: skip


def _payments(rng: np.random.Generator, orders: _Orders, items: _Items, end_s: float) -> pa.Table:
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
        "amount": _money(amount),
        "status": status,
        "due_at": _timestamps(orders.due_at),
        "paid_at": _timestamps(orders.paid_at, valid=orders.is_paid),
        "updated_at": _timestamps(np.maximum(orders.at, np.minimum(orders.updated_at, end_s))),
    })  # fmt: skip


def _stock_movements(
    rng: np.random.Generator, orders: _Orders, items: _Items, catalogue: _Catalogue, end_s: float
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
        "product_id": _Catalogue.product_ids(np.concatenate([p[1] for p in parts])[order]),
        "kind": kinds[order],
        "quantity": np.concatenate([part[2] for part in parts])[order],
        "order_item_id": pa.array(item[order], mask=item[order] == 0),
        "moved_at": _timestamps(moved[order]),
        "updated_at": _timestamps(moved[order]),
    })  # fmt: skip


def _long_tail(rng: np.random.Generator, kinds: int, size: int, *, exponent: float) -> Array:
    weights = (rng.permutation(kinds) + 1.0) ** -exponent
    return rng.choice(kinds, size, p=weights / weights.sum())


def _places(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    shares = np.array([place[1] for place in ref.PLACES])
    state = rng.choice(len(ref.PLACES), count, p=shares / shares.sum())
    pick = rng.random(count) ** 1.8  # the first city of a state is its largest
    cities = [ref.PLACES[s][2][int(p * len(ref.PLACES[s][2]))]
              for s, p in zip(state, pick, strict=True)]  # fmt: skip
    states = np.array([place[0] for place in ref.PLACES], dtype=object)[state]
    return states, np.array(cities, dtype=object)


def _timestamps(seconds: Array, valid: Array | None = None) -> pa.Array:
    micros = np.round(seconds * 1e3).astype("int64") * 1000
    mask = None if valid is None else ~valid
    return pa.array(micros, mask=mask).cast(pa.timestamp("us", "UTC"))


def _money(values: Array) -> pa.Array:
    return pa.array(np.round(values, 2)).cast(pa.decimal128(12, 2))


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return plain.lower().replace(" ", ".")


def _spoiled_email(email: str, index: int) -> str | None:
    spoiled = (None, email.replace("@", " at "), email.replace("@", ""), f" {email} ", "-", "x@")
    return spoiled[index % len(spoiled)]


def _spoiled_text(text: str, index: int) -> str:
    spoiled = (text.upper(), text.lower(), f"  {text}", f"{text} ", text.replace(" ", "  "))
    return spoiled[index % len(spoiled)]
