"""``lavra.tables``: what a release says of its tables, asked for like any table."""

from __future__ import annotations

import json

import httpx

from tests.query_service.conftest import RELEASED, Lake, query, serving, wait_until

AUDITS = [
    {"name": "not_null", "passed": True, "blocking": True},
    {"name": "fresh", "passed": False, "blocking": False},
    {"name": "in_range", "passed": False, "blocking": False},
]
SHOWN = "select * from lavra.tables order by table_name"


def _note_audits(lake: Lake, release: int, table: str) -> None:
    with lake.catalog.connect() as connection:
        connection.execute(
            "update lavra.release_table set audits = %s where release_id = %s and table_name = %s",
            (json.dumps(AUDITS), release, table),
        )


def _facts(client: httpx.Client) -> dict[str, dict[str, object]]:
    answer = query(client, SHOWN)
    names = [column["name"] for column in answer["columns"]]
    return {row[1]: dict(zip(names, row, strict=True)) for row in answer["rows"]}


def test_it_says_what_the_snapshot_holds_and_moves_with_the_release(lake: Lake) -> None:
    lake.duck.execute("create table lake.gold_test.t as select 1 as id")
    lake.duck.execute("create table lake.gold_test.u as select 1 as id limit 0")
    first = lake.release()
    _note_audits(lake, first, "t")
    with serving(lake.settings) as client:
        before = query(client, SHOWN)["snapshot"]
        facts = _facts(client)
        assert facts["t"] | {"released_at": None} == {
            "schema_name": "gold_test", "table_name": "t", "row_count": 1,
            "data_through": RELEASED.strftime("%Y-%m-%dT%H:%M:%S.000000"), "released_at": None,
            "snapshot": str(first), "audits_passed": 1, "audits_failed": 2,
            "failed_audits": "fresh, in_range",
        }  # fmt: skip
        assert str(facts["t"]["released_at"]) + "Z" == before["released_at"]
        assert facts["u"]["row_count"] == 0
        assert (facts["u"]["audits_failed"], facts["u"]["failed_audits"]) == (0, "")

        lake.duck.execute("insert into lake.gold_test.t values (2)")
        second = lake.release(data_through=None)
        wait_until(lambda: query(client, SHOWN)["snapshot"]["id"] == str(second))
        facts = _facts(client)
        assert (facts["t"]["row_count"], facts["t"]["snapshot"]) == (2, str(second))
        assert facts["t"]["data_through"] is None
        # An earlier release still says what it said.
        assert query(client, SHOWN, snapshot=str(first))["rows"][0][2] == 1


def test_it_is_read_only_and_the_only_view_of_its_schema(lake: Lake) -> None:
    lake.release()
    with serving(lake.settings) as client:
        assert query(client, SHOWN)["rows"] == []
        for sql, status in (
            ("insert into lavra.tables select * from lavra.tables", 403),
            ("create table lavra.x as select 1 as a", 403),
            ("select * from lavra.releases", 404),
        ):
            assert client.post("/v1/sql", json={"sql": sql}).status_code == status, sql
