"""What Superset's UI can ask, through its chart API, against the same computed by DuckDB.

Each case of ``ui_expressions.py`` is posted as a query context, as the chart editor would; its rows
must equal those of a DuckDB statement over the same rows, which never saw Superset's SQL.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from lavra.dashboards.client import SupersetClient
from lavra.errors import DashboardError
from tests.lavra.dashboards.conftest import UI_TABLE, RunningSuperset
from tests.lavra.dashboards.ui_expressions import CASES, Case
from tests.lavra.dashboards.ui_post_processing import POST_CASES

ALL = [*CASES, *POST_CASES]


TIME_FORMATS = {"seconds": "epoch_s", "millis": "epoch_ms", "day_text": "%Y-%m-%d"}
"""What the dataset's editor says of columns that hold times in other types."""
BATCH = 20


class Asker:
    """A dataset over the table of all types, and a session that asks it."""

    def __init__(self, client: SupersetClient, dataset: int) -> None:
        self._client = client
        self._source = {"id": dataset, "type": "table"}

    def ask(self, cases: list[Case]) -> list[dict[str, Any]]:
        """Return the answers to cases of one kind: in one request, unless one of them fails."""
        asked = {
            "datasource": self._source,
            "queries": [{"row_limit": 10_000, **case.query} for case in cases],
            "result_format": "json", "result_type": cases[0].kind, "force": True,
        }  # fmt: skip
        try:
            answer = self._client.post("/api/v1/chart/data", asked)
        except DashboardError as error:
            if len(cases) == 1:
                return [{"error": error.message}]
            return [self.ask([case])[0] for case in cases]
        found: list[dict[str, Any]] = answer["result"]
        return found


@pytest.fixture(scope="module")
def answers(
    running_superset: RunningSuperset, request: pytest.FixtureRequest
) -> dict[str, dict[str, Any]]:
    """Superset's answer to each case that is tested, by its name."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    tested = [call.params["case"] for call in calls if call and "case" in call.params]
    tested = [case for case in tested if isinstance(case, Case)]
    with running_superset.client() as client:
        databases = client.get("/api/v1/database/")["result"]
        database = next(d["id"] for d in databases if d["database_name"] == "Lavra")
        made = client.post(
            "/api/v1/dataset/",
            {"database": database, "schema": "gold_test", "table_name": UI_TABLE},
        )
        path = f"/api/v1/dataset/{made['id']}"
        try:
            kept = ("id", "column_name", "type", "is_dttm", "python_date_format")
            columns = [
                {name: column[name] for name in kept if column.get(name) is not None}
                for column in client.get(path)["result"]["columns"]
            ]
            for column in columns:
                if column["column_name"] in TIME_FORMATS:
                    form = TIME_FORMATS[column["column_name"]]
                    column |= {"is_dttm": True, "python_date_format": form}
            client.put(path, {"columns": columns})
            asker = Asker(client, made["id"])
            found: dict[str, dict[str, Any]] = {}
            for kind in dict.fromkeys(case.kind for case in tested):
                cases = [case for case in tested if case.kind == kind]
                for start in range(0, len(cases), BATCH):
                    batch = cases[start : start + BATCH]
                    asked = zip(batch, asker.ask(batch), strict=True)
                    found |= {case.name: answer for case, answer in asked}
        finally:
            client.delete(path)
    return found


@pytest.fixture(scope="module")
def duck(running_superset: RunningSuperset) -> duckdb.DuckDBPyConnection:
    """DuckDB over the same rows, as the table ``t``."""
    cursor = running_superset.lake.duck.cursor()
    cursor.execute(f"create temp table t as from lake.gold_test.{UI_TABLE}")
    return cursor


def _plain(value: Any) -> Any:
    """A value of either side in one form: times as epoch milliseconds, numbers as floats."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | str):
        return value
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return moment.timestamp() * 1000
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC).timestamp() * 1000
    if isinstance(value, int | float | Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not compared")


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-12, abs_tol=1e-9)
    return bool(left == right)


def _key(row: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{v:.6f}" if isinstance(v, float) else f"{v}" for v in row)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.soak] if case.is_long else [])
        for case in ALL
    ],
)
def test_superset_shows_what_is_true(
    answers: dict[str, dict[str, Any]], duck: duckdb.DuckDBPyConnection, case: Case
) -> None:
    answer = answers[case.name]
    assert answer.get("error") is None, answer["error"]
    found = duck.execute(f"with u as (from t) {case.expected}")
    columns, expected = [column[0] for column in found.description], found.fetchall()
    assert expected, "a case over no rows shows nothing"
    shown = answer["data"]
    assert set(columns) <= set(shown[0] if shown else columns), (columns, shown[:1])
    rows = [tuple(_plain(row[name]) for name in columns) for row in shown]
    wanted = [tuple(_plain(value) for value in row) for row in expected]
    if not case.is_ordered:
        rows, wanted = sorted(rows, key=_key), sorted(wanted, key=_key)
    assert len(rows) == len(wanted), answer["query"]
    for row, right in zip(rows, wanted, strict=True):
        assert all(map(_same, row, right)), (row, right, answer["query"])


def test_an_unlike_value_is_seen() -> None:
    """The comparison itself tells values, types and nulls apart."""
    assert not _same(_plain(1.0), _plain(1.000001))
    assert not _same(_plain(None), _plain(0))
    assert not _same(_plain(dt.datetime(2024, 1, 1)), _plain(dt.datetime(2024, 1, 1, 0, 0, 1)))
    assert _same(_plain(Decimal("1.10")), _plain(1.1))
