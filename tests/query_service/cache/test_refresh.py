"""A refresh by data file is equal to a full load, whatever happened to the tables between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lavra.errors import CatalogError
from query_service.cache.loader import LoadReport, load_release
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
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = make_lake(tmp_path_factory.mktemp("refresh") / "lake")
    yield made
    close_lake(made)


def load(lake: Lake, folder: Path, release_id: int) -> LoadReport:
    with lake.catalog.connect() as connection:
        release = read_release(connection, release_id)
    assert release is not None
    return load_release(lake.catalog, lake.storage, release, folder)


def rows(report: LoadReport, name: str = "gold_test.t") -> list[str]:
    table = next(cached for cached in report.cached if cached.name == name)
    batches = [b for path in table.segments for b in open_segment(Path(path))[1]]
    held = pa.Table.from_batches(batches, table.schema)
    assert held.num_rows == table.row_count
    return sorted(map(str, held.to_pylist()))


def truth(lake: Lake, snapshot: int, table: str = TABLE) -> list[str]:
    found = lake.duck.execute(f"select * from {table} at (version => {snapshot})")
    return sorted(map(str, found.to_arrow_table().to_pylist()))


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=6))
def test_a_refresh_equals_a_full_load(
    lake: Lake, tmp_path_factory: pytest.TempPathFactory, operations: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    lake.duck.execute(
        f"create or replace table {TABLE} as select range as id, range % 5 as day, "
        "'name ' || range as name from range(100)"
    )
    released: list[tuple[int, int]] = []
    for number, operation in enumerate(operations):
        for statement in OPERATIONS[operation].split("; "):
            lake.duck.execute(statement.format(t=TABLE, n=number))
        snapshot = lake.snapshot()
        released.append((lake.release(tables=[("gold_test", "t")]), snapshot))
        refreshed = load(lake, folder, released[-1][0])
        assert rows(refreshed) == truth(lake, snapshot), operations[: number + 1]
    full = load(lake, tmp_path_factory.mktemp("full"), released[-1][0])
    assert rows(full) == rows(refreshed)
    # Going back to a release, as a rollback does, finds what that release held.
    for release_id, snapshot in released[:3]:
        assert rows(load(lake, folder, release_id)) == truth(lake, snapshot)


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
