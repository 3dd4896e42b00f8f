"""A view among a release's tables is served as its query's rows at that snapshot."""

from __future__ import annotations

import httpx
import pytest

from lavra.errors import CatalogError
from query_service.cache.lake_files import list_table_files
from query_service.releases import read_release
from tests.query_service.conftest import Lake, serving

TABLES = [("gold_test", "t"), ("gold_test", "latest"), ("gold_test", "counted")]


def rows(client: httpx.Client, sql: str) -> list[list[object]]:
    answer = client.post("/v1/sql", json={"sql": sql})
    assert answer.status_code == 200, answer.text
    found: list[list[object]] = answer.json()["rows"]
    return found


def test_views_show_the_released_snapshot(lake: Lake) -> None:
    lake.duck.execute("create table lake.gold_test.t as select range as id from range(10)")
    lake.duck.execute(
        "create view lake.gold_test.latest as from lake.gold_test.t order by id desc limit 2"
    )
    lake.duck.execute(
        "create view lake.gold_test.counted as select count(*) as n, max(id)::varchar as highest "
        "from lake.gold_test.t"
    )
    lake.release(tables=TABLES)
    with serving(lake.settings) as client:
        assert rows(client, "select id from gold_test.latest order by id") == [[8], [9]]
        assert rows(client, "select * from gold_test.counted") == [[10, "9"]]
        tables = {t["name"]: t["row_count"] for t in client.get("/v1/tables").json()["tables"]}
        assert tables["latest"] == 2

        lake.duck.execute("insert into lake.gold_test.t values (100)")
        assert rows(client, "select * from gold_test.counted") == [[10, "9"]]
        lake.release(tables=TABLES)
        client.post("/v1/refresh")
        assert rows(client, "select * from gold_test.counted") == [[11, "100"]]
        assert rows(client, "select id from gold_test.latest order by id") == [[9], [100]]

        # Another type under the same view: what it reads was changed, the view was not.
        lake.duck.execute("create or replace table lake.gold_test.t as select 'a' as id")
        lake.release(tables=TABLES)
        client.post("/v1/refresh")
        assert rows(client, "select * from gold_test.latest") == [["a"]]


def test_what_is_neither_table_nor_view_is_named(lake: Lake) -> None:
    lake.duck.execute("create table lake.gold_test.t as select 1 as id")
    before = lake.snapshot()
    lake.duck.execute("create view lake.gold_test.later as from lake.gold_test.t")
    number = lake.release(tables=[("gold_test", "later")], snapshot=before)
    with lake.catalog.connect() as connection:
        release = read_release(connection, number)
        assert release is not None
        with pytest.raises(CatalogError, match=r"gold_test\.later is not in snapshot"):
            list_table_files(connection, release)
