"""All 22 TPC-H queries over HTTP, in every format, against DuckDB's answers."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.data.tpch import DASHBOARD, TABLES, load_tpch, qualified, tpch_queries
from tests.query_service.conftest import close_lake, make_lake, serving, wait_until

SCHEMA = "gold_tpch"
FORMATS = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
Rows = list[tuple[Any, ...]]
Answers = dict[str, tuple[str, Rows]]


def serve_tpch(
    tmp_path_factory: pytest.TempPathFactory, scale: float
) -> Iterator[tuple[httpx.Client, Answers]]:
    """Serve TPC-H at a scale; gives a client, and each query with DuckDB's rows."""
    lake = make_lake(tmp_path_factory.mktemp("tpch") / "lake")
    try:
        load_tpch(lake.duck, scale)
        lake.duck.execute(f"create schema lake.{SCHEMA}")
        for table in TABLES:
            lake.duck.execute(f"create table lake.{SCHEMA}.{table} as from memory.{table}")
        queries = tpch_queries(lake.duck) | DASHBOARD
        answers = {
            name: (qualified(sql, SCHEMA), lake.duck.execute(sql).fetchall())
            for name, sql in queries.items()
        }
        lake.release(tables=[(SCHEMA, table) for table in TABLES])
        with serving(lake.settings, ready=False) as client:
            wait_until(lambda: client.get("/readyz").status_code == 200, timeout_s=600)
            yield client, answers
    finally:
        close_lake(lake)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Answers]]:
    yield from serve_tpch(tmp_path_factory, 0.01)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Answers]]:
    yield from serve_tpch(tmp_path_factory, 1)


@pytest.mark.parametrize("name", FORMATS)
def test_every_query_is_right_in_every_format(
    small: tuple[httpx.Client, Answers], name: str
) -> None:
    check(*small, name)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FORMATS)
def test_every_query_is_right_at_scale_1(large: tuple[httpx.Client, Answers], name: str) -> None:
    check(*large, name)


def test_the_check_sees_a_difference() -> None:
    rows = [(1, "a", Decimal("1.50"), 0.1)]
    assert same(rows, [(1, "a", "1.5", 0.1 + 1e-12)])
    for other in ([], [(2, "a", 1.5, 0.1)], [(1, "b", 1.5, 0.1)], [(1, "a", 1.51, 0.1)],
                  [(1, "a", 1.5, 0.11)], [(1, "a", None, 0.1)]):  # fmt: skip
        assert not same(rows, other)
    assert not same([(1,), (2,)], [(2,), (1,)])


def check(client: httpx.Client, answers: Answers, name: str) -> None:
    assert len(answers) == 32
    for query, (sql, expected) in answers.items():
        assert expected
        response = client.post(
            "/v1/sql", json={"sql": sql, "timeout_s": 300}, headers={"Accept": FORMATS[name]}
        )
        assert response.status_code == 200, (query, response.text)
        assert same(expected, decode(name, response.content)), query


def decode(name: str, content: bytes) -> Rows:
    if name == "json":
        return [tuple(row) for row in json.loads(content)["rows"]]
    if name == "ndjson":
        return [tuple(json.loads(line).values()) for line in content.splitlines()]
    if name == "csv":
        # No value of TPC-H is an empty text: nothing between two commas is a null.
        lines = list(csv.reader(io.StringIO(content.decode())))[1:]
        return [tuple(value or None for value in line) or (None,) for line in lines]
    if name == "arrow":
        table = pa.ipc.open_stream(content).read_all()
    else:
        table = pq.read_table(io.BytesIO(content))
    return [tuple(row.values()) for row in table.to_pylist()]


def same(expected: Rows, found: Rows) -> bool:
    """Whether rows are equal and in the same order, exact but for the last bits of floats."""
    return len(expected) == len(found) and all(
        len(left) == len(right) and all(map(_equal, left, right))
        for left, right in zip(expected, found, strict=True)
    )


def _equal(expected: Any, found: Any) -> bool:
    if expected is None or found is None:
        return expected is found
    if isinstance(expected, int | float | Decimal):
        number = _number(found)
        if number is None:
            return False
        if isinstance(expected, float):
            # DuckDB averages decimals as floats; DataFusion as decimals of four more digits.
            return math.isclose(expected, number, rel_tol=1e-9, abs_tol=1e-6)
        return Decimal(str(found)) == Decimal(expected)
    return _text(expected) == _text(found)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        value = value.replace(tzinfo=None).isoformat()
    elif isinstance(value, dt.date):
        value = value.isoformat()
    # Midnight of a day and the day are one: date_trunc keeps a date in one engine only.
    return re.sub(r"T00:00:00(\.0+)?$", "", str(value))
