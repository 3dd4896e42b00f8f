"""Kept plans answer as fresh ones do, and only what they were made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datafusion import RuntimeEnvBuilder

from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import servable_schema, write_segment
from query_service.engine import session as session_module
from query_service.engine.executor import ExecutorOptions
from query_service.engine.parameters import bind
from query_service.engine.session import FEW_PARTITIONS, ReleaseSession
from query_service.engine.zygote import own_options

ROWS = pa.table({"id": list(range(1000)), "name": [f"n{i % 7}" for i in range(1000)]})


@pytest.fixture(scope="module")
def release_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    schema = servable_schema(ROWS.schema)
    write_segment(folder / "t.seg", schema, ROWS.to_batches(300))
    held = CachedTable("gold_test", "t", schema, (str(folder / "t.seg"),), 1, ROWS.num_rows)
    write_release_file(folder / "release.json", [held])
    return folder / "release.json"


@pytest.fixture
def session(release_path: Path) -> ReleaseSession:
    return ReleaseSession(release_path, RuntimeEnvBuilder(), 2)


def ask(session: ReleaseSession, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    plan = session.plan(sql, bind(parameters))
    table = plan.frame.to_arrow_table()
    assert table.schema.names == plan.schema.names
    return [tuple(row.values()) for row in table.to_pylist()]


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from gold_test.t",
        "select name, sum(id) as s from gold_test.t group by name order by name",
        (
            "with a as (select max(id) as m from gold_test.t) select id from gold_test.t, a "
            "where id = m"
        ),
        "select id from gold_test.t where id = (select max(id) from gold_test.t)",
        (
            "select id from gold_test.t where id in (select id from gold_test.t where name = 'n1') "
            "order by id desc limit 3"
        ),
        (
            "select t.id, row_number() over (order by id desc) as n from gold_test.t as t "
            "order by id limit 2"
        ),
        "select name from gold_test.t where id < 2 union all select 'x' order by 1",
        "values (1, 'a')",
    ],
)
def test_a_statement_is_planned_once_and_runs_again(session: ReleaseSession, sql: str) -> None:
    fresh = session._context.sql(sql).to_arrow_table().to_pylist()
    first = ask(session, sql)
    assert first == [tuple(row.values()) for row in fresh]
    plan = session.plan(sql, {})
    assert ask(session, sql) == first
    assert session.plan(sql, {}) is plan
    assert plan.tables == (() if sql.startswith("values") else ("gold_test.t",))


def test_parameters_belong_to_the_plan(session: ReleaseSession) -> None:
    sql = "select $1 as v, arrow_typeof($1) as kind, count(*) from gold_test.t where id < $2"
    for given in (1, 2, "1", 1.0, True, {"type": "decimal(10, 2)", "value": "1"}):
        for limit in (3, 4):
            kind, rows = ask(session, sql, [given, limit])[0][1:]
            assert rows == limit
            again = ask(session, sql, [given, limit])[0]
            assert again[1:] == (kind, rows)
    assert ask(session, sql, [{"type": "decimal(10, 2)", "value": "1"}, 1])[0][1] == (
        "Decimal128(10, 2)"
    )
    assert ask(session, sql, [{"type": "decimal(12, 2)", "value": "1"}, 1])[0][1] == (
        "Decimal128(12, 2)"
    )


def test_time_goes_on(session: ReleaseSession) -> None:
    sql = "select now() as t from gold_test.t limit 1"
    assert ask(session, sql) < ask(session, sql)
    explained = "explain select count(*) from gold_test.t"
    assert session.plan(explained, {}) is not session.plan(explained, {})


def test_a_refused_statement_is_refused_again(session: ReleaseSession) -> None:
    for _ in range(2):
        for sql in ("drop table gold_test.t", "select 1; select 2", "select * from gold_test.nope"):
            with pytest.raises(Exception, match=r"not supported|not found|single SQL"):
                session.plan(sql, {})
    assert not session._plans


def test_kept_plans_are_bounded(session: ReleaseSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "KEPT_PLANS", 3)
    for number in range(5):
        ask(session, f"select {number}")
    assert list(session._plans) == ["select 2", "select 3", "select 4"]
    long = f"select '{'x' * session_module.KEPT_SQL}'"
    assert session.plan(long, {}) is not session.plan(long, {})


def test_an_engine_has_all_options_but_a_spill_folder_of_its_own() -> None:
    options = ExecutorOptions(1, "/spill", 2, "bucket", "/credentials.json")
    assert own_options(options, 7) == ExecutorOptions(
        1, "/spill/7", 2, "bucket", "/credentials.json"
    )


@pytest.mark.parametrize(
    ("sql", "copies"),
    [
        ("select id, name from gold_test.t where id <> 5 order by name limit 900", True),
        ("select name, count(*) from gold_test.t group by name", False),
        ("select a.id from gold_test.t a join gold_test.t b on a.id = b.id", False),
        ("select id, row_number() over (order by id) from gold_test.t", False),
        ("select id from gold_test.t where id in (select id from gold_test.t)", False),
    ],
)
def test_rows_that_are_only_copied_come_in_large_batches(
    session: ReleaseSession, sql: str, copies: bool
) -> None:
    plan = session._context.sql(sql).optimized_logical_plan()
    assert session_module._only_copies(plan) is copies
    rows = session._context.sql(sql).to_arrow_table().to_pylist()
    assert len(ask(session, sql)) == len(rows)


def test_few_threads_share_a_joins_smaller_side(tmp_path: Path) -> None:
    table = pa.table({"id": range(200_000)})
    write_segment(tmp_path / "large.seg", table.schema, table.to_batches(32_768))
    held = CachedTable(
        "gold_test", "large", table.schema, (str(tmp_path / "large.seg"),), 1, table.num_rows
    )
    write_release_file(tmp_path / "release.json", [held])
    sql = "select count(*) from gold_test.large a join gold_test.large b on a.id = b.id"
    for threads, mode in ((2, "CollectLeft"), (FEW_PARTITIONS + 1, "Partitioned")):
        session = ReleaseSession(tmp_path / "release.json", RuntimeEnvBuilder(), threads)
        assert ask(session, sql) == [(table.num_rows,)]
        physical = session.plan(sql, {}).frame.execution_plan().display_indent()
        assert f"HashJoinExec: mode={mode}" in physical


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("select * from gold_test.t", ["id", "name"]),
        ("select max(id) from gold_test.t", ["id"]),
        ("select count(*) from gold_test.t", []),
        ("select count(*) from gold_test.t where name = 'n1'", ["name"]),
        ("select a.name as id from gold_test.t as a order by a.name", ["name"]),
        ("select 1 as x where exists (select 1 from gold_test.t where id > 5)", ["id"]),
        ("select (select max(name) from gold_test.t) as m", ["name"]),
        ("with c as (select * from gold_test.t) select c.id from c limit 1", ["id"]),
        ("select id from gold_test.t union all select length(name) from gold_test.t",
         ["id", "name"]),
        ("select 'TableScan: gold_test.t projection=[name]' as lie", []),
        ("select id from gold_test.t where false", []),
        ("explain analyze select id from gold_test.t", ["id"]),
    ],
)  # fmt: skip
def test_a_plan_says_which_columns_it_reads(
    session: ReleaseSession, sql: str, columns: list[str]
) -> None:
    for _ in range(2):  # planned, and kept
        found = session.plan(sql, bind(None)).columns
        assert list(found) == [f"gold_test.t.{name}" for name in columns]


def test_a_column_whose_name_looks_like_two_is_not_left_out(tmp_path: Path) -> None:
    rows = pa.table({"a": [1], "b": [2], "a, b": [3], "c]": [4]})
    schema = servable_schema(rows.schema)
    write_segment(tmp_path / "t.seg", schema, rows.to_batches())
    held = CachedTable("gold_test", "t", schema, (str(tmp_path / "t.seg"),), 1, 1)
    write_release_file(tmp_path / "release.json", [held])
    session = ReleaseSession(tmp_path / "release.json", RuntimeEnvBuilder(), 2)
    for column in rows.schema.names:
        read = session.plan(f'select "{column}" from gold_test.t', bind(None)).columns
        assert f"gold_test.t.{column}" in read
