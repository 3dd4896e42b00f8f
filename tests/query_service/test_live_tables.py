"""Live tables: right to the last commit of a stream, and never of a half-finished run."""

from __future__ import annotations

import httpx
import pytest

from tests.query_service.conftest import Lake, query, serving, wait_until

pytestmark = pytest.mark.timeout(900)

TOTALS = "select sum(amount) as total, count(*) as n from gold_test.live"


def make_views(lake: Lake) -> None:
    """Make a settled table, the tail of a stream after its change 2, and a view of both."""
    lake.duck.execute(
        "create schema lake.landing_flow; create schema lake.silver_test;"
        "create table lake.landing_flow._position "
        "(sequence bigint, source_committed_at timestamptz);"
        "insert into lake.landing_flow._position values (2, now());"
        "create table lake.landing_flow.orders "
        "(id bigint, amount bigint, _lavra_sequence bigint, gone bool);"
        "insert into lake.landing_flow.orders values (1, 10, 1, false), (2, 20, 2, false);"
        "create table lake.gold_test.settled as select 1 as id, 10 as amount union all select 2, 20"
    )
    make_tail(lake, 2)
    lake.duck.execute(
        "create view lake.gold_test.live as select id, amount from lake.gold_test.settled s "
        "where s.id not in (select id from lake.silver_test.tail) union all "
        "select id, amount from lake.silver_test.tail where not gone"
    )


def make_tail(lake: Lake, after: int) -> None:
    """Make the view of what landed after a change, as a run does."""
    lake.duck.execute(
        "create or replace view lake.silver_test.tail as select * from (select * from "
        f"lake.landing_flow.orders where _lavra_sequence > {after}) qualify "
        "row_number() over (partition by id order by _lavra_sequence desc) = 1"
    )


def commit(lake: Lake, *rows: str) -> int:
    """Land rows and the position, as the worker does; return the commit."""
    lake.duck.execute(
        f"begin; insert into lake.landing_flow.orders values {', '.join(rows)};"
        "delete from lake.landing_flow._position;"
        "insert into lake.landing_flow._position values (0, now()); commit"
    )
    return lake.snapshot()


def shows(client: httpx.Client, snapshot: str, *row: int | None) -> None:
    """Wait until a snapshot is served; its totals are these."""
    wait_until(lambda: client.get("/v1/snapshot").json()["id"] == snapshot, timeout_s=200)
    answer = query(client, TOTALS)
    assert (answer["snapshot"]["id"], answer["rows"]) == (snapshot, [list(row)])


def test_a_live_table_follows_its_stream_between_releases(lake: Lake) -> None:
    make_views(lake)
    tables = [("gold_test", "settled"), ("gold_test", "live")]
    first = lake.release(tables=tables)
    with serving(lake.settings) as client:
        shows(client, str(first), 30, 2)
        tag = client.get("/v1/sql", params={"query": TOTALS}).headers["ETag"]

        # An update, an insertion and a deletion; the answer has another tag from then on.
        at = commit(lake, "(2, 25, 3, false)", "(3, 30, 4, false)", "(1, null, 5, true)")
        shows(client, f"{first}.{at}", 55, 2)
        again = client.get("/v1/sql", params={"query": TOTALS}, headers={"If-None-Match": tag})
        assert (again.status_code, again.json()["rows"]) == (200, [[55, 2]])

        # A run empties and refills its table while the stream goes on: nothing of it shows.
        lake.duck.execute("delete from lake.gold_test.settled")
        at = commit(lake, "(4, 5, 6, false)")
        shows(client, f"{first}.{at}", 60, 3)
        assert query(client, "select count(*) from gold_test.settled")["rows"] == [[2]]

        # The run ends: the numbers are the same, in the table and with no tail left.
        lake.duck.execute("insert into lake.gold_test.settled values (2, 25), (3, 30), (4, 5)")
        make_tail(lake, 6)
        before = query(client, TOTALS)["snapshot"]["id"]
        second = lake.release(tables=tables)
        shows(client, str(second), 60, 3)
        assert query(client, TOTALS, snapshot=str(first))["rows"] == [[30, 2]]
        assert query(client, TOTALS, snapshot=before)["rows"] == [[60, 3]]

        # A release whose tail is older than its table counts each change once all the same.
        make_tail(lake, 2)
        third = lake.release(tables=tables)
        shows(client, str(third), 60, 3)
        at = commit(lake, "(4, null, 7, true)")
        shows(client, f"{third}.{at}", 55, 2)
