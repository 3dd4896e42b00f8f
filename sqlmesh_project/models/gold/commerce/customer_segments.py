"""Customers by recency, frequency and money (RFM).

Python, because the segments are rules over quantiles: a table of thresholds that reads, and is
tested, as a function.
"""

from __future__ import annotations

import typing as t

import numpy as np
import pandas as pd
from sqlglot import exp, parse_one
from sqlmesh import ExecutionContext, model
from sqlmesh.core.model.kind import ModelKindName

SEGMENTS = ("champion", "loyal", "promising", "new", "at_risk", "dormant")
COLUMNS = {
    "customer_id": "bigint",
    "recency_days": "int",
    "frequency": "bigint",
    "monetary": "decimal(18, 2)",
    "segment": "text",
}


def scores(values: np.ndarray) -> np.ndarray:
    """Rank values into fifths, 1 the lowest to 5 the highest; equal values score the same."""
    if values.size == 0:
        return np.zeros(0, dtype=int)
    below = np.searchsorted(np.sort(values), values, side="left")
    return 1 + (5 * below) // values.size


def segment(recency: int, frequency: int, money: int, orders: int) -> str:
    """Name the segment of a customer with these scores and this number of orders."""
    if orders == 1:
        return "new" if recency >= 4 else "promising" if recency == 3 else "dormant"
    if recency >= 4:
        return "champion" if frequency + money >= 8 else "loyal"
    if recency == 3:
        return "loyal" if frequency + money >= 6 else "promising"
    return "at_risk" if frequency + money >= 6 else "dormant"


@model(
    "gold_commerce.customer_segments",
    kind={"name": ModelKindName.CUSTOM, "materialization": "changed_rows"},
    description="Customers with an order that is not cancelled, by recency, frequency and money.",
    columns=COLUMNS,
    column_descriptions={
        "customer_id": "The customer",
        "recency_days": "Days from the customer's last order to the last order of the shop",
        "frequency": "Orders so far",
        "monetary": "Net revenue so far, in the shop's currency",
        "segment": "champion, loyal, promising, new, at_risk or dormant",
    },
    grains=["customer_id"],
    depends_on=["gold_commerce.fct_orders"],
    audits=[
        ("not_null", {"columns": [exp.column(name) for name in COLUMNS]}),
        ("unique_values", {"columns": [exp.column("customer_id")]}),
        ("accepted_values", {"column": exp.column("segment"), "is_in": list(SEGMENTS)}),
    ],
)
def execute(context: ExecutionContext, **_: t.Any) -> pd.DataFrame:
    """Return one row per customer, sorted by customer; none when there is no order."""
    orders = context.resolve_table("gold_commerce.fct_orders")
    # Parsed, so that it is said in the words of whatever engine runs it.
    query = parse_one(
        f"""
        WITH orders AS (
          SELECT customer_id, order_date, net_revenue FROM {orders} WHERE status <> 'cancelled'
        ), last_day AS (
          SELECT MAX(order_date) AS day FROM orders
        )
        SELECT
          customer_id,
          CAST(
            DATE_DIFF('day', CAST(MAX(order_date) AS DATE), CAST(MAX(last_day.day) AS DATE)) AS INT
          ) AS recency_days,
          COUNT(*) AS frequency,
          CAST(SUM(net_revenue) AS TEXT) AS monetary
        FROM orders CROSS JOIN last_day
        GROUP BY customer_id
        ORDER BY customer_id
        """,  # noqa: S608 - the table's name is SQLMesh's own
        dialect="duckdb",
    )
    customers = context.fetchdf(query)
    recency = scores(-customers["recency_days"].to_numpy())
    frequency = scores(customers["frequency"].to_numpy())
    money = scores(customers["monetary"].astype(float).to_numpy())
    names = [
        segment(*row) for row in zip(recency, frequency, money, customers["frequency"], strict=True)
    ]
    return customers.assign(segment=pd.Series(names, index=customers.index, dtype=object))
