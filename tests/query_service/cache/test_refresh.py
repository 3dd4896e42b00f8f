"""A refresh by data file is equal to a full load, whatever happened to the tables between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lavra.errors import CatalogError
from query_service.cache.loader import LoadReport, load_release
from query_service.cache.release_file import CachedTable
from query_service.cache.segments import open_segment
from query_service.releases import read_release
from tests.query_service.conftest import Lake, close_lake, make_lake

TABLE = "lake.gold_test.t"
OPERATIONS = {
    "insert": "insert into {t} by name select 1000 + {n} + range as id, range % 5 as day, "
    "'new ' || range as name from range(40)",
    "delete": "delete from {t} where id % 7 = {n} % 7",
    "delete more": "delete from {t} where id % 3 = {n} % 3",
    "update": "update {t} set name = 'changed {n}' where id % 5 = {n} % 5",
    "restate a day": "begin; delete from {t} where day = {n} % 5; insert into {t} by name "
    "select id + {n} as id, {n} % 5 as day, 'again' as name from (select range as id "
    "from range(30)); commit",
    "insert then delete": "begin; insert into {t} by name select 5 as id, 1 as day, 'x' as name; "
    "delete from {t} where id = 5; commit",
    "replace": "create or replace table {t} as select range as id, range % 5 as day, "
    "'full {n}' as name from range(100)",
    "replace by the same": "create or replace table {t} as select * from {t}",
    "add a column": "alter table {t} add column c{n} int default {n}",
    "drop and add it again": "alter table {t} drop column name; "
    "alter table {t} add column name varchar default 'd{n}'",
    "rename a column": "alter table {t} rename column day to day_{n}; "
    "alter table {t} rename column day_{n} to day",
    "compact": "call ducklake_merge_adjacent_files('lake')",
    "rewrite deletes": "call ducklake_rewrite_data_files('lake', delete_threshold => 0)",
    "empty it": "delete from {t}",
    "widen a type": "alter table {t} alter column small set data type {wider}",
    "rename a column for good": "alter table {t} rename column {extra} to extra_{n}",
    "rename the table": "alter table {t} rename to moved_{unique}",
    "delete and compact": "delete from {t} where id % 4 = {n} % 4; "
    "insert into {t} by name select range as id, 2 as day from range(20); "
    "call ducklake_merge_adjacent_files('lake'); "
    "call ducklake_rewrite_data_files('lake', delete_threshold => 0)",
    "restate a day by the same": "begin; create temp table kept as from {t} where day = {n} % 5; "
    "delete from {t} where day = {n} % 5; insert into {t} by name from kept; commit; "
    "drop table kept",
    "replace by the same in another order": "create or replace table {t} as "
    "select * from {t} order by hash(id + {n})",
    "expire": "call ducklake_expire_snapshots('lake', older_than => now()); "
    "call ducklake_cleanup_old_files('lake', cleanup_all => true)",
}
BASE = (
    "create or replace table lake.gold_test.t as select range as id, range % 5 as day, "
    "'name ' || range as name, (range % 100)::tinyint as small, range / 7 as extra, "
    "date '2026-01-01' + (range * 37 % 100)::int as at from range(100)"
)
_WIDER = {"TINYINT": "smallint", "SMALLINT": "integer", "INTEGER": "bigint"}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = make_lake(tmp_path_factory.mktemp("refresh") / "lake")
    yield made
    close_lake(made)


def apply(lake: Lake, table: str, operation: str, number: int) -> str:
    """Do what an operation says to a table; return its name from then on."""
    unique = f"{number}_{lake.snapshot()}"
    for statement in OPERATIONS[operation].split("; "):
        columns = dict(
            lake.duck.execute(
                "select column_name, data_type from duckdb_columns() where database_name = 'lake' "
                "and schema_name || '.' || table_name = ?",
                [table.removeprefix("lake.")],
            ).fetchall()
        )
        extra = next((name for name in columns if name.startswith("extra")), None)
        wider = _WIDER.get(columns.get("small", ""))
        if ("{extra}" in statement and not extra) or ("{wider}" in statement and not wider):
            continue  # a replacement left the column out, or it is as wide as it gets
        lake.duck.execute(
            statement.format(t=table, n=number, unique=unique, extra=extra, wider=wider)
        )
    return f"lake.gold_test.moved_{unique}" if "{unique}" in OPERATIONS[operation] else table


def load(lake: Lake, folder: Path, release_id: int, held: Sequence[CachedTable] = ()) -> LoadReport:
    with lake.catalog.connect() as connection:
        release = read_release(connection, release_id)
    assert release is not None
    return load_release(lake.catalog, lake.storage, release, folder, held=held)


def rows(report: LoadReport, name: str = "gold_test.t") -> list[str]:
    table = next(cached for cached in report.cached if cached.name == name)
    batches = [b for path in table.segments for b in open_segment(Path(path))[1]]
    held = pa.Table.from_batches(batches, table.schema)
    assert held.num_rows == table.row_count
    return sorted(map(str, held.to_pylist()))


def truth(lake: Lake, snapshot: int, table: str = TABLE) -> list[str]:
    found = lake.duck.execute(f"select * from {table} at (version => {snapshot})")
    return sorted(map(str, found.to_arrow_table().to_pylist()))


def check_refreshes(lake: Lake, tmp_path_factory: pytest.TempPathFactory, todo: list[str]) -> None:
    """Refresh after each operation, hold it equal to DuckDB and to a full load, and go back."""
    folder = tmp_path_factory.mktemp("kept")
    lake.duck.execute(BASE)
    table = TABLE
    released: list[tuple[int, int, str]] = []
    reports: list[LoadReport] = []
    for number, operation in enumerate(todo):
        table = apply(lake, table, operation, number)
        if operation == "expire":
            released.clear()
        held = [cached for report in reports for cached in report.cached]
        snapshot = lake.snapshot()
        physical = {("gold_test", "t"): ("gold_test", table.rpartition(".")[2])}
        release_id = lake.release(tables=[("gold_test", "t")], physical=physical)
        released.append((release_id, snapshot, table))
        reports.append(load(lake, folder, release_id, held))
        assert rows(reports[-1]) == truth(lake, snapshot, table), todo[: number + 1]
    full = load(lake, tmp_path_factory.mktemp("full"), released[-1][0])
    assert rows(full) == rows(reports[-1])
    # Going back to a release, as a rollback does, finds what that release held.
    for release_id, snapshot, name in released[:3]:
        assert rows(load(lake, folder, release_id)) == truth(lake, snapshot, name)


@settings(
    max_examples=1, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=6))
@example(["widen a type", "insert", "rename a column for good", "delete and compact", "expire"])
def test_a_refresh_equals_a_full_load(
    lake: Lake, tmp_path_factory: pytest.TempPathFactory, operations: list[str]
) -> None:
    check_refreshes(lake, tmp_path_factory, operations)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=2, max_size=9))
def test_a_refresh_equals_a_full_load_for_long(
    lake: Lake, tmp_path_factory: pytest.TempPathFactory, operations: list[str]
) -> None:
    check_refreshes(lake, tmp_path_factory, operations)


def test_a_refresh_reads_what_changed(lake: Lake, tmp_path: Path) -> None:
    lake.duck.execute("create or replace table lake.gold_test.big (id bigint, v double)")
    for part in range(20):
        lake.duck.execute(
            f"insert into lake.gold_test.big select {part} * 50000 + range, random() "
            "from range(50000)"
        )
    name = [("gold_test", "big")]
    first = load(lake, tmp_path, lake.release(tables=name))
    assert (first.segments_written, first.segments_reused) == (20, 0)
    lake.duck.execute("insert into lake.gold_test.big select range, 0.5 from range(100)")
    second = load(lake, tmp_path, lake.release(tables=name))
    assert (second.segments_written, second.segments_reused) == (1, 20)
    assert second.bytes_read < first.bytes_read * 0.05
    lake.duck.execute("delete from lake.gold_test.big where id = 75000")
    third = load(lake, tmp_path, lake.release(tables=name))
    assert (third.segments_written, third.segments_reused) == (1, 20)
    nothing = load(lake, tmp_path, lake.release(tables=name))
    assert (nothing.segments_written, nothing.bytes_read) == (0, 0)


def test_a_renamed_physical_table_shares_its_segments(lake: Lake, tmp_path: Path) -> None:
    lake.duck.execute("create or replace table lake.gold_test.before as select 1 as id")
    load(lake, tmp_path, lake.release(tables=[("gold_test", "before")]))
    lake.duck.execute("alter table lake.gold_test.before rename to after")
    report = load(lake, tmp_path, lake.release(tables=[("gold_test", "after")]))
    assert (report.segments_written, report.segments_reused) == (0, 1)
    lake.duck.execute("drop table lake.gold_test.after")


def test_a_partitioned_table_and_inlined_rows(lake: Lake, tmp_path: Path) -> None:
    lake.duck.execute("create or replace table lake.gold_test.p (id int, day int)")
    lake.duck.execute("alter table lake.gold_test.p set partitioned by (day)")
    lake.duck.execute("insert into lake.gold_test.p select range, range % 4 from range(100)")
    name = [("gold_test", "p")]
    report = load(lake, tmp_path, lake.release(tables=name))
    assert report.segments_written == 4
    assert rows(report, "gold_test.p") == truth(lake, lake.snapshot(), "lake.gold_test.p")
    lake.duck.execute("call lake.set_option('data_inlining_row_limit', 50, table_name => 'p', "
                      "schema => 'gold_test')")  # fmt: skip
    lake.duck.execute("insert into lake.gold_test.p select 900, 1")
    report = load(lake, tmp_path, lake.release(tables=name))
    assert rows(report, "gold_test.p") == truth(lake, lake.snapshot(), "lake.gold_test.p")


def test_an_unknown_table_or_snapshot_is_an_error_of_ours(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="not in snapshot"):
        load(lake, tmp_path, lake.release(tables=[("gold_test", "nope")]))
    with pytest.raises(CatalogError):
        load(lake, tmp_path, lake.release(tables=[("gold_test", "big")], snapshot=10**6))


def test_an_empty_table_keeps_its_columns(lake: Lake, tmp_path: Path) -> None:
    lake.duck.execute("create or replace table lake.gold_test.e (id int, name varchar)")
    report = load(lake, tmp_path, lake.release(tables=[("gold_test", "e")]))
    assert report.cached[0].schema.names == ["id", "name"]
    assert report.cached[0].schema.field("name").type == pa.string_view()
    assert rows(report, "gold_test.e") == []
