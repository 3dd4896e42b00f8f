"""Nothing but reads of released tables is possible through SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from query_service.formats import MEDIA_TYPES
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
    # what DataFusion's own parser knows besides, and what other engines know
    "copy gold_test.t to '{file}' partitioned by (id)",
    "copy gold_test.t to '{file}' stored as arrow",
    "copy (select 1 as a) to '{file}' stored as json options ('format.compression' 'gzip')",
    "copy gold_test.t to program 'touch {file}'",
    "copy gold_test.t from program 'id'",
    "create external table e (a int) stored as csv with order (a) location '{file}'",
    "create external table e stored as csv location '{file}' options ('has_header' 'true')",
    "create external table e stored as parquet partitioned by (d) location '/etc/'",
    "create external table e stored as csv location ('{file}', '{file}')",
    "create external table if not exists gold_test.t stored as csv location '{file}'",
    "create temporary view v as select 1",
    "create materialized view v as select 1",
    "create function f(int) returns int language sql return $1",
    "create or replace function abs(double) returns double return 1",
    "create extension x",
    "create role r superuser",
    "create sequence s",
    "insert overwrite gold_test.t values (1)",
    "replace into gold_test.t values (1)",
    "update lake.gold_test.t set id = 9 returning id",
    "explain format tree copy gold_test.t to '{file}'",
    "explain format indent insert into gold_test.t values (1)",
    "explain analyze verbose copy gold_test.t to '{file}'",
    "explain analyze select * from read_csv('{file}')",
    "explain analyze create view v as select 1",
    "explain set datafusion.execution.batch_size = 1",
    "explain explain drop table gold_test.t",
    "set datafusion.runtime.memory_limit = '1T'",
    "set datafusion.execution.target_partitions = 64",
    "set session authorization postgres",
    "set role admin",
    "set local x = 1",
    "reset all",
    "reset datafusion.runtime.memory_limit",
    "show datafusion.runtime.memory_limit",
    "show all verbose",
    "show status",
    "describe '{file}'",
    "describe information_schema.df_settings",
    "describe lavra.release",
    'select * from "information_schema"."df_settings"',
    "select * from INFORMATION_SCHEMA.DF_SETTINGS",
    "select (select value from information_schema.df_settings limit 1)",
    "with s as (select * from information_schema.df_settings) select * from s",
    "select id from gold_test.t where exists (select 1 from information_schema.df_settings)",
    "select id from gold_test.t union all select id from lavra.release",
    "select * from gold_test.t join silver_test.secret using (id)",
    "select * from lake.ducklake.ducklake_snapshot",
    "select * from public.held",
    "select * from datafusion.public.held",
    "select * from read_avro('{file}')",
    "select * from read_arrow('{file}')",
    "select * from lateral read_csv('{file}')",
    "select * from metadata_cache()",
    "select * from statistics_cache()",
    "select * from list_files_cache()",
    "from '{file}'",
    "table '{file}'",
    "select * from `/etc/passwd`",
    "select * from 'gs://bucket/*.parquet'",
    "select * from 's3://bucket/x.parquet'",
    "select current_setting('datafusion.execution.batch_size')",
    "select getenv('HOME')",
    "select system('id')",
    "select pg_sleep(10)",
    "do $$ begin end $$",
    "execute immediate 'drop table gold_test.t'",
    "declare c cursor for select 1",
    "listen release",
    "notify release",
    "discard all",
    "comment on table gold_test.t is 'x'",
    "export database 'x'",
    "checkpoint",
    "optimize table gold_test.t",
    "cache table gold_test.t",
    "/* select 1 */ drop table gold_test.t",
    "-- select 1\ndrop table gold_test.t",
    "(drop table gold_test.t)",
    "explain select 1; drop table gold_test.t",
    "begin; select 1; commit",
    "show tables; drop table gold_test.t",
    "select 1;\n--\n; insert into gold_test.t values (1)",
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
    assert len(set(HOSTILE)) == len(HOSTILE) >= 180


def refused(response: httpx.Response) -> bool:
    return (
        response.status_code >= 400
        and response.headers["Content-Type"] == "application/problem+json"
        and response.json()["code"] in REFUSED
    )


ACCEPT = [media.split(";")[0] for media in MEDIA_TYPES.values()]


@pytest.mark.parametrize(
    "everywhere", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["in turn", "all"]
)
@pytest.mark.timeout(1200)
def test_every_hostile_statement_is_refused(
    client: httpx.Client, tmp_path: Path, everywhere: bool
) -> None:
    """By POST as JSON, and by each route in a format of its turn; in the soak in every format."""
    target = tmp_path / "written"
    (tmp_path / "read.csv").write_text("a\n1\n")
    wrong = []
    for number, statement in enumerate(HOSTILE):
        formats = ACCEPT if everywhere else [ACCEPT[number % len(ACCEPT)]]
        for file in (target, tmp_path / "read.csv"):
            sql = statement.replace("{file}", str(file))
            responses = [client.post("/v1/sql", json={"sql": sql})]
            for accept in formats:
                headers = {"Accept": accept}
                responses += [
                    client.post("/v1/sql", json={"sql": sql}, headers=headers),
                    client.get("/v1/sql", params={"query": sql}, headers=headers),
                ]
            wrong += [(sql[:200], r.status_code, r.text[:300]) for r in responses if not refused(r)]
            if "{file}" not in statement:
                break
    assert not wrong, "\n".join(map(str, wrong))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["read.csv"]
    assert query(client, "select * from gold_test.t")["rows"] == [[1]]
    assert [t["name"] for t in client.get("/v1/tables").json()["tables"]] == ["t"]


def test_what_is_answered_tells_nothing(client: httpx.Client) -> None:
    for sql in (
        "show create table gold_test.t",
        "show columns from information_schema.df_settings",
        "show columns from lavra.release",
        "show columns from silver_test.secret",
        "select * from information_schema.tables where table_schema <> 'gold_test'",
        "select * from information_schema.columns where table_name = 'secret'",
        "select * from information_schema.views",
    ):
        assert query(client, sql)["rows"] == [], sql


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
