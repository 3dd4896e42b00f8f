"""Environments beside prod: listed, queried, and held in the same memory where they are equal."""

from __future__ import annotations

import httpx

from tests.query_service.conftest import Lake, query, serving, wait_until


def sample(client: httpx.Client, name: str) -> float:
    text = client.get("/metrics").text
    return next(
        float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)
    )


def names(client: httpx.Client) -> list[tuple[str, bool]]:
    found = client.get("/v1/environments").json()["environments"]
    return [(entry["name"], entry["ready"]) for entry in found]


def test_environments_share_what_is_equal(lake: Lake) -> None:
    duck = lake.duck
    duck.execute("create table lake.gold_test.same as select range as id from range(50000)")
    duck.execute("create table lake.gold_test.changed as select range as id from range(20000)")
    prod = lake.release(tables=[("gold_test", "same"), ("gold_test", "changed")])
    duck.execute("create schema lake.gold_test__dev")
    duck.execute("create table lake.gold_test__dev.changed as select 5 as id from range(10000)")
    with serving(lake.settings) as client:
        alone = sample(client, "lavra_cache_bytes ")
        read = sample(client, "lavra_refresh_bytes_read_total ")
        dev = lake.release(
            environment="dev",
            tables=[("gold_test", "same"), ("gold_test", "changed")],
            physical={("gold_test", "changed"): ("gold_test__dev", "changed")},
        )
        client.post("/v1/refresh")
        wait_until(lambda: names(client) == [("prod", True), ("dev", True)])
        listed = client.get("/v1/environments").json()["environments"]
        assert [entry["snapshot"]["id"] for entry in listed] == [str(prod), str(dev)]
        assert listed[1]["snapshot"] == client.get("/v1/snapshot?environment=dev").json()

        def table(environment: str, name: str) -> float:
            labels = f'environment="{environment}",table="gold_test.{name}"'
            return sample(client, f"lavra_table_bytes{{{labels}}} ")

        # The table that is the same is on this machine once, and was not read again.
        assert table("dev", "same") == table("prod", "same") > 50_000 * 8
        assert sample(client, "lavra_cache_bytes ") == alone + table("dev", "changed")
        assert sample(client, "lavra_refresh_bytes_read_total ") - read < read / 2
        sql = "select count(*), (select max(id) from gold_test.changed) from gold_test.same"
        assert query(client, sql)["rows"] == [[50_000, 19_999]]
        assert query(client, sql, environment="dev")["rows"] == [[50_000, 5]]
        asked = client.get("/v1/sql", params={"query": sql, "environment": "dev"})
        assert asked.json()["rows"] == [[50_000, 5]]
        assert asked.json()["snapshot"]["id"] == str(dev)
        # Named by id, a release is found in its own environment alone.
        named = {"query": sql, "environment": "dev", "snapshot": str(dev)}
        assert client.get("/v1/sql", params=named).json()["rows"] == [[50_000, 5]]
        assert client.get("/v1/sql", params={**named, "environment": "prod"}).status_code == 404
        # An environment that is dropped can no longer be queried; prod is untouched.
        with lake.catalog.connect() as connection:
            connection.execute("delete from lavra.release where environment = 'dev'")
        client.post("/v1/refresh")
        assert names(client) == [("prod", True)]
        gone = client.post("/v1/sql", json={"sql": sql, "environment": "dev"})
        assert gone.json()["code"] == "unknown_environment"
        assert query(client, sql)["rows"] == [[50_000, 19_999]]
