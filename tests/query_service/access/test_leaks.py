# ruff: noqa: ISC004 - statements are long
"""Attempts to see hidden rows and columns: each fails, and answers as if they did not exist."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lavra.access.keys import create_key
from tests.query_service.conftest import Lake, close_lake, make_lake, serving, wait_until

POLICY = """
roles:
  admin: {grants: [{tables: ["*"], environments: ["*"]}]}
  manager:
    grants: [{tables: [gold_test.people, gold_test.large], except_columns: [salary]}]
  slow: {grants: [{tables: [gold_test.people]}], quota: {queries_per_minute: 2}}
rows:
  - {tables: ["gold_test.people", "gold_test.large"], filter: state = 'SP', roles: [manager]}
masks:
  - {tags: [pii], mask: hash, except_roles: [admin]}
"""
PEOPLE = """
    (1, 'Ana', 'ana@x', 'SP', 100, '7'), (2, 'Bo', 'bo@x', 'SP', 200, '8'),
    (3, 'CANARY', 'CANARY@x', 'RJ', 777001, 'CANARY'), (4, 'CANARYa', null, null, 777002, 'CANARYx')
"""
P = "gold_test.people"
HASHED = 64


@dataclass
class Guarded:
    """A service with a policy, and a client for each caller; ``releases`` are by environment."""

    lake: Lake
    manager: httpx.Client
    admin: httpx.Client
    slow: httpx.Client
    releases: dict[str, int]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    lake = make_lake(
        tmp_path_factory.mktemp("guarded") / "lake",
        POLICY,
        service_engines=2,
        service_cold_tables=("gold_test.large",),
    )
    for name in ("people", "large"):
        lake.duck.execute(
            f"create table lake.gold_test.{name} as select * from (values {PEOPLE}) "
            "t(id, name, email, state, salary, code)"
        )
    lake.duck.execute("create table lake.gold_test.secret as select 'CANARY' as word")
    releases = {"before": lake.release(), "dev": lake.release(environment="dev")}
    releases["prod"] = lake.release()
    columns = [{"name": "id", "type": "INT", "description": "", "tags": []}]
    columns.append({"name": "email", "type": "VARCHAR", "description": "", "tags": ["pii"]})
    keys = {}
    with lake.catalog.connect() as connection:
        connection.execute(
            "update lavra.release_table set columns = %s where release_id = %s "
            "and table_name <> 'secret'",
            (json.dumps(columns), releases["prod"]),
        )
        for name in ("manager", "admin", "slow"):
            _, keys[name] = create_key(connection, name, roles=[name])
    with serving(lake.settings, loopback=False) as client:
        clients = {
            name: httpx.Client(
                base_url=client.base_url, timeout=60, headers={"Authorization": f"Bearer {key}"}
            )
            for name, key in keys.items()
        }
        wait_until(lambda: clients["slow"].get("/v1/snapshot").status_code == 200)
        yield Guarded(lake, clients["manager"], clients["admin"], clients["slow"], releases)
        for each in clients.values():
            each.close()
    close_lake(lake)


def ask(client: httpx.Client, sql: str, **body: Any) -> tuple[int, Any]:
    response = client.post("/v1/sql", json={"sql": sql, **body})
    found = response.json()
    return response.status_code, found["rows"] if response.status_code == 200 else found["code"]


ATTEMPTS: dict[str, tuple[str, Any]] = {
    "a division by what a hidden row holds": (f"select 1 / (id - 3) from {P}", [[0], [-1]]),
    "a cast that only a hidden row breaks": (f"select cast(code as int) from {P}", [[7], [8]]),
    "a cast in a predicate": (f"select id from {P} where cast(code as int) > 0", [[1], [2]]),
    "an error on a guess": (
        f"select case when name like 'CANARY%' then 1 / (id - id) end from {P}", [[None], [None]]),
    "an overflow in an aggregate": (f"select sum(cast(code as tinyint)) from {P}", [[15]]),
    "everything": (f"select count(*) from (select * from {P})", [[2]]),
    "an alias": (f"select max(p.name) from {P} as p", [["Bo"]]),
    "a CTE": (f"with c as (select * from {P}) select count(*) from c", [[2]]),
    "a CTE of the table's name": (
        f"with people as (select * from {P}) select count(*) from people", [[2]]),
    "a recursive CTE": (
        "with recursive r as (select 3 n union all select n + 1 from r where n < 4) "
        f"select count(*) from r join {P} p on p.id = r.n", [[0]]),
    "a scalar subquery": (f"select (select max(id) from {P})", [[2]]),
    "IN": (f"select 1 where 3 in (select id from {P})", []),
    "EXISTS": (f"select 1 where exists (select 1 from {P} where state = 'RJ')", []),
    "NOT EXISTS": (f"select 1 where not exists (select 1 from {P} where id = 3)", [[1]]),
    "UNION": (f"select id from {P} union select id from {P} order by 1", [[1], [2]]),
    "EXCEPT": (f"select 3 except select id from {P}", [[3]]),
    "INTERSECT": (f"select 3 intersect select id from {P}", []),
    "a window": (f"select distinct count(*) over () from {P}", [[2]]),
    "a look ahead": (f"select lead(name) over (order by id) from {P} order by 1", [["Bo"], [None]]),
    "a self join": (f"select count(*) from {P} a cross join {P} b", [[4]]),
    "a full join": (
        f"select count(*) from {P} a full join (values (3)) v(id) using (id) where a.id is null",
        [[1]]),
    "a lateral subquery": (
        f"select count(*) from (values (3)) v(id), {P} p where p.id = v.id", [[0]]),
    "collecting": (f"select array_agg(name order by id) from {P}", [[["Ana", "Bo"]]]),
    "statistics": (f"select min(id), max(id), count(state) from {P}", [[1, 2, 2]]),
    "a sketch": (f"select approx_distinct(state) from {P}", [[1]]),
    "null logic": (f"select count(*) from {P} where (state = 'SP') is not true", [[0]]),
    "type coercion": (f"select count(*) from {P} where id = '3' or state = 3 or true", [[2]]),
    "a quoted predicate": (f"select count(*) from {P} where state = 'SP' or '1' = '1'", [[2]]),
    "a comment": (f"select count(*) from {P} -- where state\n/* or */ where true", [[2]]),
    "a hidden column": (f"select salary from {P}", "invalid_sql"),
    "a hidden column, quoted": (f'select p."salary" from {P} p', "invalid_sql"),
    "a hidden column, upper case": (f"select SALARY from {P}", "invalid_sql"),
    "a hidden column in ORDER BY": (f"select id from {P} order by salary", "invalid_sql"),
    "a hidden column in WHERE": (f"select 1 from {P} where salary > 0", "invalid_sql"),
    "a hidden column in GROUP BY": (f"select count(*) from {P} group by salary", "invalid_sql"),
    "a hidden column in USING": (f"select 1 from {P} a join {P} b using (salary)", "invalid_sql"),
    "a mask by its clear value": (f"select id from {P} where email = 'ana@x'", []),
    "a mask by its pattern": (f"select id from {P} where email like '%@%'", []),
    "a mask by a hash without the key": (
        f"select id from {P} where email = encode(sha256('ana@x'), 'hex')", []),
    "a mask by its length": (f"select distinct length(email) from {P}", [[HASHED]]),
    "a hidden table": ("select * from gold_test.secret", "unknown_table"),
    "a hidden table, quoted": ('select * from "gold_test"."secret"', "unknown_table"),
    "a hidden table by its catalog": ("select * from lake.gold_test.secret", "unknown_table"),
    "a hidden table, upper case": ("select * from GOLD_TEST.SECRET", "unknown_table"),
    "a hidden table in a dead branch": (
        f"select 1 from {P} where false and exists (select 1 from gold_test.secret)",
        "unknown_table"),
    "fullwidth letters": ('select * from gold_test."\uff53ecret"', "unknown_table"),
    "a zero-width space": ('select * from gold_test."sec\u200bret"', "unknown_table"),
    "the catalog's tables": (
        "select table_name from information_schema.tables where table_schema = 'gold_test' "
        "order by 1", [["large"], ["people"]]),
    "the catalog's columns": (
        "select count(*) from information_schema.columns where column_name in ('salary', 'word')",
        [[0]]),
    "DESCRIBE": ("describe gold_test.secret", "unknown_table"),
    "SHOW COLUMNS": ("show columns from gold_test.secret", []),
    "a cold table": ("select count(*), min(id), max(id) from gold_test.large", [[2, 1, 2]]),
    "a cold table's hidden column": ("select salary from gold_test.large", "invalid_sql"),
    "a cold table's cast": ("select sum(cast(code as int)) from gold_test.large", [[15]]),
    "a cold table's mask": ("select distinct length(email) from gold_test.large", [[HASHED]]),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_statement_reaches_what_is_hidden(guarded: Guarded, name: str) -> None:
    sql, expected = ATTEMPTS[name]
    status, got = ask(guarded.manager, sql)
    assert "CANARY" not in json.dumps(got)
    if isinstance(expected, str):
        assert got == expected
    else:
        assert status == 200, got
        assert sorted(got, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("kind", ["explain", "explain verbose", "explain analyze"])
def test_a_plan_counts_visible_rows_only(guarded: Guarded, kind: str) -> None:
    status, rows = ask(guarded.manager, f"{kind} select * from {P} where id > 0")
    text = json.dumps(rows)
    assert status == 200
    assert "salary" not in text
    assert "CANARY" not in text
    assert "Rows=Exact(4)" not in text
    assert "output_rows=4" not in text


def test_a_hidden_table_is_described_like_one_that_is_not_there(guarded: Guarded) -> None:
    hidden, absent = (
        guarded.manager.get(f"/v1/tables/gold_test/{n}") for n in ("secret", "nosuch")
    )
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["detail"].replace("secret", "nosuch") == absent.json()["detail"]
    asked = [ask(guarded.manager, f"select 1 from gold_test.{n}") for n in ("secret", "nosuch")]
    assert asked[0] == asked[1]


def test_a_description_says_what_is_visible(guarded: Guarded) -> None:
    listed = guarded.manager.get("/v1/tables").json()["tables"]
    assert [(t["name"], t["row_count"]) for t in listed] == [("large", 2), ("people", 2)]
    table = guarded.manager.get("/v1/tables/gold_test/people").json()
    assert "salary" not in [column["name"] for column in table["columns"]]
    assert (table["row_count"], table["audits"], table["upstream"]) == (2, [], [])
    assert guarded.manager.get("/v1/snapshot").json()["tables"] == 2


def test_another_environment_is_as_one_that_is_not_there(guarded: Guarded) -> None:
    for path in ("/v1/snapshot", "/v1/tables"):
        found = [guarded.manager.get(path, params={"environment": e}) for e in ("dev", "nosuch")]
        assert [response.json()["code"] for response in found] == ["unknown_environment"] * 2
    assert ask(guarded.manager, "select 1", environment="dev") == (404, "unknown_environment")
    assert ask(guarded.admin, "select 1", environment="dev") == (200, [[1]])
    listed = guarded.manager.get("/v1/environments").json()["environments"]
    assert [environment["name"] for environment in listed] == ["prod"]
    other = str(guarded.releases["dev"])
    assert ask(guarded.manager, "select 1", snapshot=other) == (404, "unknown_snapshot")


def test_a_column_tagged_today_is_masked_in_an_earlier_release(guarded: Guarded) -> None:
    sql, before = f"select email from {P} order by id", str(guarded.releases["before"])
    assert ask(guarded.admin, sql, snapshot=before)[1][0] == ["ana@x"]
    status, rows = ask(guarded.manager, sql, snapshot=before)
    assert (status, [len(row[0]) for row in rows]) == (200, [HASHED, HASHED])


def test_kept_answers_and_tags_are_of_one_kind_of_caller(guarded: Guarded) -> None:
    params = {"query": f"select count(*) as n from {P}"}
    full = guarded.admin.get("/v1/sql", params=params)
    assert full.json()["rows"] == [[4]]
    for header in ({}, {"If-None-Match": full.headers["ETag"]}):
        limited = guarded.manager.get("/v1/sql", params=params, headers=header)
        assert limited.json()["rows"] == [[2]]
        assert limited.headers["ETag"] != full.headers["ETag"]
    again = guarded.admin.get("/v1/sql", params=params)
    assert (again.json()["rows"], again.headers["X-Lavra-Cache"]) == ([[4]], "hit")


def test_the_others_queries_are_not_listed(guarded: Guarded) -> None:
    ask(guarded.admin, "select 'CANARY of another'")
    assert "CANARY of another" not in guarded.manager.get("/v1/queries").text


def test_a_quota_refuses_who_used_it_up(guarded: Guarded) -> None:
    codes = [ask(guarded.slow, f"select {number}")[0] for number in range(4)]
    assert codes == [200, 200, 429, 429]
    assert ask(guarded.manager, "select 1")[0] == 200


def test_copies_are_few_and_shared(guarded: Guarded) -> None:
    ask(guarded.manager, f"select 1 from {P}")
    folder = Path(guarded.lake.settings.state) / "service" / "cache" / "restricted"
    before = sorted(folder.glob("segments/*/*.seg"))
    with guarded.lake.catalog.connect() as connection:
        _, key = create_key(connection, "colleague", roles=["manager"])
    with httpx.Client(
        base_url=guarded.manager.base_url, timeout=60, headers={"Authorization": f"Bearer {key}"}
    ) as colleague:
        wait_until(lambda: colleague.get("/v1/snapshot").status_code == 200)
        assert ask(colleague, f"select count(*) from {P}") == (200, [[2]])
    assert sorted(folder.glob("segments/*/*.seg")) == before


@pytest.mark.soak
def test_a_row_rule_costs_less_than_a_millisecond_more(guarded: Guarded) -> None:
    def median_ms(client: httpx.Client, sql: str) -> float:
        taken = []
        for _ in range(300):
            began = time.perf_counter()
            assert ask(client, sql)[0] == 200
            taken.append((time.perf_counter() - began) * 1000)
        return statistics.median(taken)

    for kind, sql in {
        "kept": f"select count(*) from {P}",
        "computed": f"select count(*), random() from {P}",
    }.items():
        median_ms(guarded.admin, sql)
        median_ms(guarded.manager, sql)
        plain, limited = median_ms(guarded.admin, sql), median_ms(guarded.manager, sql)
        print(f"{kind}: {plain:.3f} ms without, {limited:.3f} ms with a row rule")
        assert limited - plain <= 1
