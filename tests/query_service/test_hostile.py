"""Nothing but reads of released tables is possible through SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.query_service.conftest import Lake, close_lake, make_lake, query, serving

REFUSED = {"statement_not_allowed", "invalid_sql", "unknown_table", "invalid_request"}
"""Refused is refused; which of these it is depends on how far the planner reads."""

HOSTILE = [
    # writing
    "insert into gold_test.t values (2)",
    "insert into gold_test.t select * from gold_test.t",
    "update gold_test.t set id = 2",
    "delete from gold_test.t",
    "truncate table gold_test.t",
    "merge into gold_test.t using gold_test.t s on true when matched then delete",
    "create table gold_test.x as select 1",
    "create table x (a int)",
    "create or replace table gold_test.t as select 1",
    "create view gold_test.v as select 1",
    "create or replace view v as select 1",
    "create schema x",
    "create database x",
    "create index i on gold_test.t (id)",
    "create function f() returns int return 1",
    "drop table gold_test.t",
    "drop table if exists gold_test.t",
    "drop view gold_test.v",
    "drop schema gold_test cascade",
    "drop function abs",
    "alter table gold_test.t add column x int",
    "alter table gold_test.t rename to u",
    "select 1 into gold_test.x",
    "with x as (insert into gold_test.t values (2) returning id) select * from x",
    # files
    "copy gold_test.t to '{file}'",
    "copy (select 1) to '{file}' stored as csv",
    "copy (select 1) to '{file}' stored as parquet",
    "copy gold_test.t from '{file}'",
    "copy (select 1) to 'gs://bucket/x.parquet'",
    "copy (select 1) to 'https://example.com/x.csv'",
    "create external table e stored as csv location '{file}'",
    "create external table e stored as parquet location 'gs://bucket/x'",
    "create external table e stored as csv location 'http://127.0.0.1:1/x'",
    "create unbounded external table e stored as csv location '{file}'",
    "select * from '{file}'",
    'select * from "{file}"',
    "select * from '/etc/passwd'",
    "select * from 'file:///etc/passwd'",
    "select * from 'gs://bucket/x.parquet'",
    "select * from 'http://127.0.0.1:1/x.csv'",
    "select * from read_csv('{file}')",
    "select * from read_parquet('{file}')",
    "select * from read_json('{file}')",
    "select * from parquet_scan('{file}')",
    "select * from parquet_metadata('{file}')",
    "select * from csv_scan('/etc/passwd')",
    "select * from glob('/etc/*')",
    "select pg_read_file('/etc/passwd')",
    "select load_extension('x')",
    "select * from url('http://127.0.0.1:1/')",
    # wrapped
    "explain copy gold_test.t to '{file}'",
    "explain analyze copy gold_test.t to '{file}'",
    "explain analyze insert into gold_test.t values (1)",
    "explain create table x as select 1",
    "explain analyze create external table e stored as csv location '{file}'",
    "explain verbose drop table gold_test.t",
    "prepare p as select 1",
    "prepare p as copy gold_test.t to '{file}'",
    "execute p",
    "deallocate p",
    # several at once
    "select 1; select 2",
    "select 1; drop table gold_test.t",
    "select 1;; copy gold_test.t to '{file}'",
    "; drop table gold_test.t",
    "select 1 /* ; */; set a = 1",
    # settings and state
    "set datafusion.execution.batch_size = 1",
    "set datafusion.catalog.information_schema = true",
    "set variable x = 1",
    "set time zone = 'UTC'",
    "reset datafusion.execution.batch_size",
    "show all",
    "show datafusion.execution.batch_size",
    "show time zone",
    "show variables",
    "show functions",
    "select * from information_schema.df_settings",
    "select * from lake.information_schema.df_settings",
    "select * from information_schema.routines",
    "select * from information_schema.parameters",
    "select * from datafusion.information_schema.df_settings",
    "use gold_test",
    "attach 'x.db'",
    "detach lake",
    "pragma database_list",
    "install httpfs",
    "load httpfs",
    "call pragma_version()",
    "vacuum",
    "analyze gold_test.t",
    # transactions and locks
    "begin",
    "start transaction",
    "commit",
    "rollback",
    "savepoint s",
    "lock table gold_test.t",
    "grant all on gold_test.t to public",
    "revoke all on gold_test.t from public",
    "kill 1",
    # the catalog's own tables, and layers that are not served
    "select * from lavra.release",
    "select * from lavra.release_table",
    "select * from ducklake.ducklake_data_file",
    "select * from sqlmesh._snapshots",
    "select * from pg_catalog.pg_tables",
    "select * from pg_class",
    "select * from silver_test.secret",
    "select * from lake.silver_test.secret",
    "select * from sqlite_master",
    "select * from duckdb_settings()",
    "select * from ducklake_snapshots('lake')",
    # not SQL
    "",
    " ",
    ";",
    "\x00",
    "select '" + "(" * 3000,
    "select " + "(" * 400 + "1" + ")" * 400,
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = make_lake(tmp_path_factory.mktemp("hostile") / "lake")
    made.duck.execute("create table lake.gold_test.t as select 1 as id")
    made.duck.execute("create schema lake.silver_test")
    made.duck.execute("create table lake.silver_test.secret as select 1 as id")
    made.release()
    yield made
    close_lake(made)


@pytest.fixture(scope="module")
def client(lake: Lake) -> Iterator[httpx.Client]:
    with serving(lake.settings) as opened:
        yield opened


def test_the_corpus_is_large() -> None:
    assert len(set(HOSTILE)) >= 60


def test_every_hostile_statement_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    target = tmp_path / "written"
    (tmp_path / "read.csv").write_text("a\n1\n")
    wrong = []
    for statement in HOSTILE:
        for file in (target, tmp_path / "read.csv"):
            sql = statement.replace("{file}", str(file))
            response = client.post("/v1/sql", json={"sql": sql})
            if response.status_code < 400 or response.json()["code"] not in REFUSED:
                wrong.append((sql[:200], response.status_code, response.text[:300]))
            if "{file}" not in statement:
                break
    assert not wrong
    assert sorted(path.name for path in tmp_path.iterdir()) == ["read.csv"]
    assert query(client, "select * from gold_test.t")["rows"] == [[1]]


def test_parameters_are_values_never_text(client: httpx.Client) -> None:
    for text in ("1; drop table gold_test.t", "' or '1'='1", '"; select 1', "$1", "{x}", "%s"):
        assert query(client, "select $1 as it", parameters=[text])["rows"] == [[text]]
        assert query(client, "select $x as it", parameters={"x": text})["rows"] == [[text]]
    for name in ("a b", "x;", "1; drop", ""):
        response = client.post("/v1/sql", json={"sql": "select 1", "parameters": {name: 1}})
        assert response.json()["code"] == "invalid_request"
    table = client.post("/v1/sql", json={"sql": "select * from $t", "parameters": {"t": "gold"}})
    assert table.status_code == 400


def test_what_clients_ask_for_works(client: httpx.Client) -> None:
    assert query(client, "show tables")["rows"] == [["gold_test", "t", "BASE TABLE"]]
    assert query(client, "SHOW SCHEMAS;")["rows"] == [["gold_test"]]
    assert query(client, "show columns from gold_test.t")["rows"] == [["id", "int32", "YES"]]
    assert query(client, "describe gold_test.t")["row_count"] == 1
    names = query(
        client, "select table_name from information_schema.tables where table_schema = 'gold_test'"
    )
    assert names["rows"] == [["t"]]
    columns = query(client, "select column_name, ordinal_position from information_schema.columns")
    assert columns["rows"] == [["id", 1]]
    assert "TableScan" in query(client, "explain select * from gold_test.t")["rows"][0][1]
    assert "metrics" in query(client, "explain analyze select * from gold_test.t")["rows"][0][1]
