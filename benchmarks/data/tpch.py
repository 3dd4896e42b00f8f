"""TPC-H: its tables made by DuckDB's generator, its 22 queries, and ten as a dashboard asks them.

Both come from DuckDB's ``tpch`` extension, installed from a wheel; nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import sqlglot
from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLES = (
    "region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem",
)  # fmt: skip

DASHBOARD = {
    "orders": "SELECT count(*) AS orders, sum(o_totalprice) AS revenue FROM orders",
    "revenue by month": (
        "SELECT date_trunc('month', o_orderdate) AS month, sum(o_totalprice) AS revenue "
        "FROM orders GROUP BY 1 ORDER BY 1"
    ),
    "one year by day": (
        "SELECT o_orderdate, sum(o_totalprice) AS revenue, count(*) AS orders FROM orders "
        "WHERE o_orderdate >= DATE '1996-01-01' AND o_orderdate < DATE '1997-01-01' "
        "GROUP BY 1 ORDER BY 1"
    ),
    "by priority": ("SELECT o_orderpriority, count(*) AS orders FROM orders GROUP BY 1 ORDER BY 1"),
    "by ship mode": (
        "SELECT l_shipmode, sum(l_quantity) AS quantity, sum(l_extendedprice) AS revenue "
        "FROM lineitem GROUP BY 1 ORDER BY 1"
    ),
    "top 10 customers": (
        "SELECT o_custkey, sum(o_totalprice) AS revenue FROM orders "
        "GROUP BY 1 ORDER BY revenue DESC, o_custkey LIMIT 10"
    ),
    "revenue by segment": (
        "SELECT c_mktsegment, sum(o_totalprice) AS revenue FROM orders "
        "JOIN customer ON c_custkey = o_custkey GROUP BY 1 ORDER BY 1"
    ),
    "one month's items": (
        "SELECT l_returnflag, count(*) AS items, avg(l_discount) AS discount FROM lineitem "
        "WHERE l_shipdate >= DATE '1995-03-01' AND l_shipdate < DATE '1995-04-01' "
        "GROUP BY 1 ORDER BY 1"
    ),
    "customers by nation": (
        "SELECT n_name, count(*) AS customers FROM customer JOIN nation "
        "ON c_nationkey = n_nationkey GROUP BY 1 ORDER BY customers DESC, n_name"
    ),
    "late items by month": (
        "SELECT date_trunc('month', l_receiptdate) AS month, count(*) AS items FROM lineitem "
        "WHERE l_receiptdate > l_commitdate GROUP BY 1 ORDER BY 1"
    ),
}
"""Ten queries as a dashboard's tiles ask them."""


def load_tpch(
    connection: duckdb.DuckDBPyConnection, scale: float, *, part: int = 0, parts: int = 1
) -> None:
    """Make the tables in the connection's own ``memory`` database; scale 1 is 6,000,000 items.

    With ``parts``, only one of so many parts is made; small tables are whole in the first.
    """
    package = importlib.util.find_spec("duckdb_extension_tpch")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("duckdb-extension-tpch is not installed: uv sync")
    (file,) = Path(package.origin).parent.rglob("tpch.duckdb_extension")
    connection.load_extension(str(file))
    connection.execute("USE memory")
    divided = f", children = {parts}, step = {part}" if parts > 1 else ""
    connection.execute(f"CALL dbgen(sf = {scale:g}{divided})")


def tpch_queries(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the 22 queries by name, q01 to q22; the extension must be loaded."""
    rows = connection.execute("SELECT query_nr, query FROM tpch_queries()").fetchall()
    return {f"q{number:02}": query.strip().rstrip(";") for number, query in rows}


def qualified(sql: str, schema: str, tables: Iterable[str] = TABLES) -> str:
    """Return a query that names its tables with a schema, as the service wants them."""
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    names = set(tables)
    for table in tree.find_all(exp.Table):
        if table.name in names and not table.db:
            table.set("db", exp.to_identifier(schema))
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
    return str(tree.sql(dialect="duckdb"))
