"""Statements through SQL Lab, rewritten by Superset, against the same asked of the service."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from lavra.dashboards.client import SupersetClient
from lavra.errors import DashboardError
from tests.lavra.dashboards.conftest import RunningSuperset


def _statements() -> list[str]:
    """The file's statements, one a line; a line that is a comment belongs to the next."""
    lines = Path(__file__).with_name("sql_lab.sql").read_text("utf-8").splitlines()[1:]
    found: list[str] = []
    held = ""
    for line in lines:
        held += line
        if line.startswith("--"):
            held += "\n"
            continue
        found.append(held.removesuffix(";"))
        held = ""
    return found


STATEMENTS = _statements()


class SqlLab:
    """SQL Lab's API, and the service's."""

    def __init__(self, client: SupersetClient, running: RunningSuperset) -> None:
        self._client = client
        self._service = running.settings.service_url
        databases = client.get("/api/v1/database/")["result"]
        self._database = next(d["id"] for d in databases if d["database_name"] == "Lavra")

    def execute(self, sql: str, schema: str | None, limit: int) -> dict[str, Any]:
        """Run a statement as SQL Lab does."""
        asked = {
            "database_id": self._database, "sql": sql, "client_id": uuid.uuid4().hex[:11],
            "schema": schema, "queryLimit": limit, "runAsync": False,
            "expand_data": False, "tab": "test",
        }  # fmt: skip
        answer: dict[str, Any] = self._client.post("/api/v1/sqllab/execute/", asked)
        return answer

    def rows(self, sql: str, schema: str | None = None, limit: int = 1000) -> list[list[Any]]:
        """Return a statement's rows through SQL Lab."""
        answer = self.execute(sql, schema, limit)
        names = [column["column_name"] for column in answer["columns"]]
        return [[row[name] for name in names] for row in answer["data"]]

    def ask(self, sql: str) -> tuple[list[str], list[list[Any]]]:
        """Return the types and rows of a statement that goes to the service as it is."""
        answer = httpx.post(
            f"{self._service}/v1/sql", json={"sql": sql}, timeout=120, trust_env=False
        ).json()
        assert "rows" in answer, answer
        return [column["type"] for column in answer["columns"]], answer["rows"]


@pytest.fixture(scope="module")
def sql_lab(running_superset: RunningSuperset) -> Iterator[SqlLab]:
    with running_superset.client() as client:
        yield SqlLab(client, running_superset)


def _plain(value: Any, kind: str) -> Any:
    """A value of either side in one form, by the Arrow type that the service gave."""
    if value is None:
        return None
    if kind.startswith("decimal"):
        return Decimal(str(value))
    if kind.startswith("timestamp"):
        return dt.datetime.fromisoformat(value.removesuffix("Z")[:26])
    if kind.startswith("list"):
        return json.loads(value) if isinstance(value, str) else value
    return value


@pytest.mark.parametrize("sql", STATEMENTS)
def test_sql_lab_shows_the_services_rows(sql_lab: SqlLab, sql: str) -> None:
    types, wanted = sql_lab.ask(sql)
    shown, true = (
        [[_plain(value, kind) for value, kind in zip(row, types, strict=True)] for row in rows]
        for rows in (sql_lab.rows(sql), wanted)
    )
    assert true, "a statement without rows shows nothing"
    assert shown == true


def test_a_table_is_looked_for_in_the_chosen_schema(sql_lab: SqlLab) -> None:
    sql = (
        "with readings as (select * from readings where id < 3) select readings.id, "
        "(select count(*) from gold_commerce.fct_orders) as n from readings order by id"
    )
    assert sql_lab.rows(sql, "gold_test") == [[0, 3000], [1, 3000], [2, 3000]]
    with pytest.raises(DashboardError, match="nothing"):
        sql_lab.rows("select * from nothing", "gold_test")


def test_the_drop_down_limits_what_has_no_lower_limit(sql_lab: SqlLab) -> None:
    assert len(sql_lab.rows("select id from gold_test.readings limit 7")) == 7
    assert len(sql_lab.rows("select id from gold_test.readings", limit=9)) == 9
    assert len(sql_lab.rows("select id from gold_test.readings limit 30", limit=9)) == 9
