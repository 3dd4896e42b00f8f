"""A cold table answers as a held one does, whatever happened to its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datafusion import RuntimeEnvBuilder
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lavra.settings import Settings
from query_service.cache.cold import ColdRule
from query_service.cache.loader import LoadReport, load_release, release_file
from query_service.cache.release_file import read_release_file
from query_service.engine.session import Bucket, ReleaseSession
from query_service.releases import read_release
from tests.gcs_xml_front import xml_front
from tests.query_service.cache.test_refresh import BASE, OPERATIONS, TABLE, apply, truth
from tests.query_service.conftest import Lake, close_lake, make_lake, serving

ALL_COLD = ColdRule(patterns=("gold_test.*",))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = make_lake(tmp_path_factory.mktemp("cold") / "lake")
    yield made
    close_lake(made)


def load(
    lake: Lake,
    folder: Path,
    rule: ColdRule = ALL_COLD,
    table: str = "t",
    physical: str | None = None,
) -> tuple[LoadReport, Path]:
    with lake.catalog.connect() as connection:
        held = {("gold_test", table): ("gold_test", physical or table)}
        release_id = lake.release(tables=[("gold_test", table)], physical=held)
        release = read_release(connection, release_id)
    assert release is not None
    report = load_release(lake.catalog, lake.storage, release, folder, cold=rule)
    return report, release_file(folder, release)


def ask(file: Path, sql: str, bucket: Bucket | None = None) -> list[dict[str, Any]]:
    session = ReleaseSession(file, RuntimeEnvBuilder(), 2, bucket)
    rows = session.plan(sql, {}).frame.to_arrow_table().to_pylist()
    assert isinstance(rows, list)
    return rows


def held_and_scanned(report: LoadReport) -> tuple[int, int]:
    table = report.cached[0]
    return len(table.segments), sum(map(len, table.scanned))


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=5))
@example(["insert", "drop and add it again", "insert", "add a column", "insert"])
def test_it_equals_the_table_whatever_happened_to_it(
    lake: Lake, tmp_path_factory: pytest.TempPathFactory, operations: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    lake.duck.execute(BASE)
    table = TABLE
    for number, operation in enumerate(operations):
        table = apply(lake, table, operation, number)
        report, file = load(lake, folder, physical=table.rpartition(".")[2])
        found = ask(file, "select * from gold_test.t")
        assert sorted(map(str, found)) == truth(lake, lake.snapshot(), table), operations[
            : number + 1
        ]
        assert report.cached[0].row_count == len(found)


def test_only_files_with_deletes_or_older_columns_are_held(lake: Lake, tmp_path: Path) -> None:
    lake.duck.execute("create or replace table lake.gold_test.f (id bigint, name varchar)")
    for part in range(3):
        lake.duck.execute(
            f"insert into lake.gold_test.f select {part} * 100 + range, 'n' from range(100)"
        )
    report, _ = load(lake, tmp_path, table="f")
    assert held_and_scanned(report) == (0, 3)
    assert report.bytes_read == 0
    lake.duck.execute("delete from lake.gold_test.f where id = 5")
    report, file = load(lake, tmp_path, table="f")
    assert held_and_scanned(report) == (1, 2)
    assert ask(file, "select count(*) as n from gold_test.f") == [{"n": 299}]
    lake.duck.execute("alter table lake.gold_test.f rename column name to label")
    lake.duck.execute("insert into lake.gold_test.f select 900, 'new'")
    report, file = load(lake, tmp_path, table="f")
    assert held_and_scanned(report) == (3, 1)
    assert ask(file, "select count(distinct label) as n from gold_test.f") == [{"n": 2}]


TYPES = {
    "i8": "range::tinyint", "u64": "range::ubigint", "huge": "range::hugeint",
    "d": "(range * 1.25)::decimal(18, 4)", "f": "range / 3", "b": "range % 2 = 0",
    "s": "'é' || range", "x": "encode('x' || range)", "day": "date '2025-01-01' + range::int",
    "at": "timestamp '2025-01-01 10:00:00' + to_seconds(range)",
    "atz": "timestamptz '2025-01-01 10:00:00+00' + to_seconds(range)",
    "t": "time '10:00:00'", "l": "[range, range + 1]", "r": "{'a': range, 'b': 'y'}",
    "u": "'c3f1e2d4-0000-0000-0000-000000000000'::uuid", "n": "null::int",
}  # fmt: skip


def test_every_type_is_the_one_of_a_held_table(lake: Lake, tmp_path: Path) -> None:
    columns = ", ".join(f"{sql} as {name}" for name, sql in TYPES.items())
    lake.duck.execute(f"create or replace table lake.gold_test.y as select {columns} from range(9)")
    cold, cold_file = load(lake, tmp_path, table="y")
    held, held_file = load(lake, tmp_path, ColdRule(), table="y")
    assert cold.cached[0].schema == held.cached[0].schema
    sql = "select * from gold_test.y order by i8"
    assert ask(cold_file, sql) == ask(held_file, sql)
    lake.duck.execute("alter table lake.gold_test.y drop column huge")
    lake.duck.execute("alter table lake.gold_test.y drop column u")
    cold, _ = load(lake, tmp_path, table="y")
    assert cold.cached[0].is_cold  # only what Parquet holds otherwise keeps a file from a scan


def test_a_filter_prunes_what_is_read(lake: Lake, tmp_path: Path) -> None:
    lake.duck.execute('create or replace table lake.gold_test.p (id int, "where" varchar)')
    lake.duck.execute('alter table lake.gold_test.p set partitioned by ("where")')
    lake.duck.execute(
        "insert into lake.gold_test.p "
        "select range, ['a b', 'c%20d', 'é/x', 'it''s'][1 + range % 4] from range(4000)"
    )
    report, file = load(lake, tmp_path, table="p")
    assert held_and_scanned(report) == (0, 4)
    sql = "select count(*) as n from gold_test.p where \"where\" = 'c%20d'"
    assert ask(file, sql) == [{"n": 1000}]
    (plan,) = [r["plan"] for r in ask(file, f"explain analyze {sql}")][:1]
    assert "row_groups_pruned_statistics=4 total → 1 matched" in plan


def test_the_budget_keeps_the_smallest_tables(tmp_path: Path, lake: Lake) -> None:
    lake.duck.execute("create or replace table lake.gold_test.small as select 1 as id")
    lake.duck.execute(
        "create or replace table lake.gold_test.large as select random() as v from range(200000)"
    )
    with lake.catalog.connect() as connection:
        names = [("gold_test", "large"), ("gold_test", "small")]
        release = read_release(connection, lake.release(tables=names))
    assert release is not None
    for budget, cold in ((0, []), (2**20, ["gold_test.large"]), (2**30, [])):
        rule = ColdRule(budget_bytes=budget)
        report = load_release(lake.catalog, lake.storage, release, tmp_path, cold=rule)
        assert [table.name for table in report.cached if table.is_cold] == cold
        assert [table.name for table in report.cached] == ["gold_test.large", "gold_test.small"]
        again = read_release_file(release_file(tmp_path, release))
        assert [table.scanned for table in again] == [table.scanned for table in report.cached]


def test_the_service_says_which_tables_are_cold_and_reads_nothing_else(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake", service_cold_tables=("gold_test.c*",))
    try:
        lake.duck.execute("create table lake.gold_test.cold as select range as id from range(50)")
        lake.duck.execute("create table lake.gold_test.held as select range as id from range(50)")
        lake.duck.execute("create table lake.gold_test.other as select 42 as secret")
        lake.release(tables=[("gold_test", "cold"), ("gold_test", "held")])
        (hidden,) = lake.duck.execute(
            "select data_file from ducklake_list_files('lake', 'other', schema => 'gold_test')"
        ).fetchall()
        with serving(lake.settings) as client:
            tables = client.get("/v1/tables").json()["tables"]
            assert {t["name"]: t["cached"] for t in tables} == {"cold": False, "held": True}
            joined = "select count(*) as n from gold_test.cold join gold_test.held using (id)"
            assert client.post("/v1/sql", json={"sql": joined}).json()["rows"] == [[50]]
            for name in (f"'{hidden[0]}'", "scanned", "held", "lake.public.scanned"):
                answer = client.post("/v1/sql", json={"sql": f"select * from {name}"})
                assert answer.json()["code"] == "unknown_table"
            lake.duck.execute("delete from lake.gold_test.cold where id < 10")
            lake.release(tables=[("gold_test", "cold"), ("gold_test", "held")])
            client.post("/v1/refresh")
            assert client.post("/v1/sql", json={"sql": joined}).json()["rows"] == [[40]]
    finally:
        close_lake(lake)


def test_a_bucket_is_scanned_by_ranges(
    gcs_settings: Settings, gcs_emulator: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lake = make_lake(gcs_settings.project)
    try:
        lake.duck.execute(
            "create table lake.gold_test.g as select range as id, 'n' || range as name, "
            "random() as noise from range(600000)"
        )
        report, file = load(lake, tmp_path, table="g")
        assert report.cached[0].is_cold
        with xml_front(gcs_emulator) as (front, reads):
            monkeypatch.setenv("STORAGE_EMULATOR_HOST", front)
            from lavra.storage import open_storage

            options = open_storage(lake.settings.model_copy(
                update={"storage_emulator_host": front}
            )).to_datafusion(tmp_path)  # fmt: skip
            bucket = Bucket(options["bucket"], options["bucket_credentials"])
            sql = "select max(name) as n from gold_test.g where id = 77"
            assert ask(file, sql, bucket) == [{"n": "n77"}]
            size = report.cached[0].bytes
            ranges = [wanted.removeprefix("bytes=") for _, wanted in reads if wanted]
            spans = [int(w.split("-")[1]) - int(w.split("-")[0]) for w in ranges if w[0] != "-"]
            assert 0 < sum(spans) < size / 2
    finally:
        close_lake(lake)
