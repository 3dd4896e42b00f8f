"""The shop's history, drawn from one seed: the same arguments give the same rows.

Orders are laid out in *shop time*, in which they arrive evenly, and bent into the calendar by
the shop's growth, its weekdays and its seasons. So every customer's rhythm follows the seasons
without a loop over days.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lavra.workloads.commerce import reference as ref
from lavra.workloads.commerce.columns import (
    DAY_S,
    Array,
    ascii_name,
    long_tail,
    money,
    places,
    product_ids,
    seller_ids,
    spoiled_email,
    spoiled_text,
    timestamps,
)
from lavra.workloads.commerce.ledger import payments_of, stock_movements

DEFAULT_CUSTOMERS = 20_000
DEFAULT_DAYS = 800
UTC_OFFSET_S = -3 * 3600  # Brasília has had no summer time since 2019


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
    catalogue = Catalogue(rng, scale)
    end_s = end.timestamp()
    customers = Customers(rng, max(20, round(DEFAULT_CUSTOMERS * scale)), end_s, days)
    orders = Orders(rng, customers, end_s)
    items = Items(rng, orders, catalogue, end_s)
    payments = payments_of(rng, orders, items, end_s)
    return Shop(
        categories=catalogue.categories(),
        sellers=catalogue.sellers(),
        products=catalogue.products(),
        customers=customers.table(rng),
        orders=orders.table(rng, end_s),
        order_items=items.table(rng),
        payments=payments,
        stock_movements=stock_movements(rng, orders, items, catalogue, end_s),
    )


class Calendar:
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
        """Return seconds since the epoch."""
        return np.asarray(np.interp(shop_time, self._cumulative, self._edges))


class Catalogue:
    """What the shop sells: one element per product, and who sells it."""

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
        self.seller = long_tail(rng, self.seller_count, self.size, exponent=0.8)
        # A few products make most of the sales, a long tail makes the rest.
        rank = rng.permutation(self.size) + 1
        self.popularity = rank**-0.95 / (rank**-0.95).sum()
        self._rng = rng
        self._seller_place = places(rng, self.seller_count)

    def categories(self) -> pa.Table:
        """Return the rows of ``categories.csv``."""
        rows = [{"Category": c[0], "Category EN": c[1], "Department": c[2]} for c in ref.CATEGORIES]
        return pa.Table.from_pylist(rows)

    def sellers(self) -> pa.Table:
        """Return the rows of ``sellers.csv``."""
        count, rng = self.seller_count, self._rng
        states, cities = self._seller_place
        words = rng.integers(0, len(ref.SELLER_WORDS), count)
        names = rng.integers(0, len(ref.SELLER_NAMES), count)
        commission = rng.choice([8.5, 10.0, 12.5, 14.0], count)
        zip_codes = rng.integers(1_000, 99_999, count)
        return pa.table({
            "Seller ID": seller_ids(np.arange(count)),
            "Name": [f"{ref.SELLER_WORDS[w]} {ref.SELLER_NAMES[n]}"
                     for w, n in zip(words, names, strict=True)],
            "City": cities,
            "State": states,
            "ZIP Code": [f"{number:05d}" for number in zip_codes],
            "Commission (%)": [f"{value:.1f}".replace(".", ",") for value in commission],
        })  # fmt: skip

    def products(self) -> pa.Table:
        """Return the rows of ``products.csv``."""
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
            "Product ID": product_ids(np.arange(size)),
            "Name": names,
            "Category": [None if m and i % 2 else ref.CATEGORIES[c][0]
                         for i, (c, m) in enumerate(zip(self.category, missing, strict=True))],
            "Price (BRL)": [f"{price:.2f}" for price in self.price],
            "Weight (g)": [None if m else int(w)
                           for w, m in zip(self.weight, missing, strict=True)],
            "Seller ID": seller_ids(self.seller),
            "Barcode": [f"{number:013d}" for number in rng.integers(10**9, 10**12, size)],
            "Launched On": [dt.date.fromordinal(int(day)) for day in launched],
        })  # fmt: skip


class Customers:
    """One element per customer, in order of signing up."""

    def __init__(self, rng: np.random.Generator, count: int, end_s: float, days: int) -> None:
        self.count = count
        self.calendar = Calendar(rng, end_s, days)
        self.signed_up = np.sort(rng.random(count) ** 1.5)  # in shop time
        self.states, self.cities = places(rng, count)

    def table(self, rng: np.random.Generator) -> pa.Table:
        """Return the table, with doubles and careless entries."""
        count = self.count
        first = rng.integers(0, len(ref.FIRST_NAMES), count)
        last = rng.integers(0, len(ref.LAST_NAMES), count)
        names = [
            f"{ref.FIRST_NAMES[f]} {ref.LAST_NAMES[s]}" for f, s in zip(first, last, strict=True)
        ]
        numbers = rng.integers(1, 9_999, count)
        emails: list[str | None] = [
            f"{ascii_name(name)}{number}@example.com.br"
            for name, number in zip(names, numbers, strict=True)
        ]
        signed_up = self.calendar.to_seconds(self.signed_up)
        # Somebody who forgot the account and made another: same person, other case.
        twins = np.flatnonzero(rng.random(count) < 0.006)
        for twin in twins[twins > 0]:
            names[twin] = names[twin - 1].upper()
            emails[twin] = (emails[twin - 1] or "").upper()
        for index in np.flatnonzero(rng.random(count) < 0.008):
            emails[index] = spoiled_email(emails[index] or "", int(index))
        cities, states = list(self.cities), list(self.states)
        for index in np.flatnonzero(rng.random(count) < 0.10):
            cities[index] = spoiled_text(cities[index], int(index))
        for index in np.flatnonzero(rng.random(count) < 0.012):
            states[index] = None if index % 3 else states[index].lower()
        phones = rng.integers(10**7, 10**8, count)
        return pa.table({
            "customer_id": np.arange(1, count + 1),
            "name": names, "email": emails,
            "phone": [None if n % 13 == 0 else f"+55119{n}" for n in phones],
            "city": cities, "state": states,
            "marketing_opt_in": rng.random(count) < 0.35,
            "signed_up_at": timestamps(signed_up), "updated_at": timestamps(signed_up),
        })  # fmt: skip


class Orders:
    """One element per order, in order of time."""

    def __init__(self, rng: np.random.Generator, customers: Customers, end_s: float) -> None:
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
        """Return the table, with a few orders dated in the future."""
        channel = rng.choice(4, self.count, p=[0.44, 0.36, 0.15, 0.05])
        coupons = np.array(["BEMVINDO", "FRETE10", "VOLTA5", None], dtype=object)
        at = self.at.copy()
        # A client with a wrong clock: these orders claim to be from the future.
        dirty = rng.random(self.count) < 0.0006
        at[dirty] = end_s + rng.uniform(20, 400, int(dirty.sum())) * DAY_S
        return pa.table({
            "order_id": np.arange(1, self.count + 1),
            "customer_id": self.customer + 1,
            "ordered_at": timestamps(at),
            "status": self.statuses[self.stage],
            "channel": np.array(["web", "app", "marketplace", "store"])[channel],
            "coupon": pa.array(coupons[self.coupon], pa.string()),
            "discount": money(self.discount), "shipping": money(self.shipping),
            "ship_to_city": self.cities, "ship_to_state": self.states,
            "updated_at": timestamps(self.updated_at),
        })  # fmt: skip


class Items:
    """One element per order item."""

    def __init__(
        self, rng: np.random.Generator, orders: Orders, catalogue: Catalogue, end_s: float
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
        """Return the table, with a few wrong quantities and unknown products."""
        quantity = self.quantity.copy()
        wrong = rng.random(self.count) < 0.0012
        quantity[wrong] = -quantity[wrong] * (rng.random(int(wrong.sum())) < 0.7)
        products = product_ids(self.product).to_pylist()
        for index in np.flatnonzero(rng.random(self.count) < 0.0012):
            products[index] = "P-99999" if index % 2 else "?"
        return pa.table({
            "order_item_id": np.arange(1, self.count + 1),
            "order_id": self.order + 1,
            "product_id": products,
            "seller_id": seller_ids(self.seller),
            "quantity": quantity,
            "unit_price": money(self.price),
            "updated_at": timestamps(self.updated_at),
        })  # fmt: skip
