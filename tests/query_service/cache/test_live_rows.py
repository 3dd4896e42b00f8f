"""Live tables from copies equal what the lake itself answers, whatever happened to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lavra.ducklake import attach_lake, connect_duckdb
from lavra.errors import CatalogError
from lavra.streams.tables import create_table
from query_service.cache import live_rows
from query_service.cache.live import LiveReader, LiveViews
from query_service.cache.release_file import CachedTable
from query_service.cache.segments import open_segment
from query_service.releases import Release, read_release
from tests.query_service.conftest import Lake, close_lake, make_lake

pytestmark = pytest.mark.timeout(900)

INLINED = 5
TABLES = ("orders", "items")
COLUMNS = {"id": "BIGINT", "amount": "BIGINT"}


def tail_sql(changes: str, above: int) -> str:
    """The newest change of each key after a point, in the form that SQLMesh's models have."""
    return (
        f'with changes as (select * from (select id::bigint as id, amount::bigint as amount, '
        f'_lavra_sequence::bigint as _lavra_sequence, _ab_cdc_deleted_at as gone from {changes} '
        f'where "_lavra_sequence" > {above})) select * from changes '
        "qualify row_number() over (partition by id order by _lavra_sequence desc) = 1"
    )  # fmt: skip


def live_sql(settled: str, tail: str) -> str:
    """What is settled and not in the tail, and what the tail adds."""
    return (
        f"select id, amount from {settled} s where id not in (select id from {tail} t) "
        f"union all select id, amount from {tail} t where gone is null"
    )


class Flow:
    """A stream into a lake, runs that settle it, and the reader that follows."""

    def __init__(self, root: Path) -> None:
        self.lake: Lake = make_lake(root)
        self.writer = self.connect()
        self.sequence, self.point = 0, 0
        self.generation = 1
        for table in TABLES:
            create_table(self.writer, "flow", table, COLUMNS)
        self.write(
            "create table lake.landing_flow._position "
            "(sequence bigint, source_committed_at timestamptz);"
            "insert into lake.landing_flow._position values (0, now()); create schema lake.silver"
        )
        self.reader = LiveReader(self.lake.catalog, self.lake.storage, root / "live")
        self.release: Release
        self.views: LiveViews
        self.state: tuple[int, list[CachedTable]] | None = None
        self.settle()

    def close(self) -> None:
        self.reader.close()
        self.writer.close()
        close_lake(self.lake)

    def connect(self) -> duckdb.DuckDBPyConnection:
        duck = connect_duckdb(self.lake.storage, threads=2)
        attach_lake(duck, self.lake.catalog, self.lake.storage, inlined_rows=INLINED)
        return duck

    def write(self, statements: str) -> None:
        self.writer.execute(statements).fetchall()

    def land(self, rows: dict[str, int], *, first: str = "") -> None:
        """Land changes, an eighth of them deletions, with their position, in one commit."""
        statements = [first]
        for table, count in rows.items():
            at, self.sequence = self.sequence + 1, self.sequence + count
            statements.append(
                f"insert into lake.landing_flow.{table} by name select "
                f"(hash(i) % 40)::bigint as id, (hash(i, 1) % 1000)::bigint as amount, "
                f"now() as _airbyte_extracted_at, {self.generation} as _airbyte_generation_id, "
                "case when hash(i, 2) % 8 = 0 then now() end as _ab_cdc_deleted_at, "
                f"i as _lavra_sequence from range({at}, {self.sequence + 1}) r(i)"
            )
        self.write(
            f"begin; {'; '.join(filter(None, statements))}; "
            "delete from lake.landing_flow._position;"
            f"insert into lake.landing_flow._position values ({self.sequence}, now()); commit"
        )

    def settle(self) -> None:
        """Run: settle what has landed, and release."""
        self.point = self.sequence
        for table in TABLES:
            landed = f"lake.landing_flow.{table}"
            tail = f"lake.silver.{table}_tail"
            self.write(
                f"create or replace table lake.silver.{table} as select id, amount from "
                f"({tail_sql(landed, -1)}) where gone is null and _lavra_sequence <= {self.point};"
                f"create or replace view {tail} as {tail_sql(landed, self.point)};"
                f"create or replace view lake.gold_test.{table} as "
                f"{live_sql(f'lake.silver.{table}', tail)}"
            )
        number = self.lake.release(tables=[("gold_test", table) for table in TABLES])
        with self.lake.catalog.connect() as connection:
            release = read_release(connection, number)
        assert release
        self.release, self.views, self.state = release, self.reader.find(release), None
        self.reader.keep_only(set(), {release.id: self.views})

    def follow(self) -> list[CachedTable]:
        """Bring the reader to the newest commit, and compare with the lake."""
        empty = [
            CachedTable("gold_test", table, pa.schema([]), (), 0, 0) for table in TABLES
        ]  # fmt: skip
        after = self.state[0] if self.state else self.release.snapshot_id
        commit = self.reader.last_commit(self.views, after)
        if commit is None:
            return self.state[1] if self.state else empty
        _, tables, through = self.reader.load(
            self.release, self.views, commit, empty, before=self.state
        )
        assert through is not None
        self.state = commit, tables
        for cached in tables:
            landed = f"lake.landing_flow.{cached.table_name} at (version => {commit})"
            at = f"at (version => {self.release.snapshot_id})"
            settled = f"(from lake.silver.{cached.table_name} {at})"
            wanted = live_sql(settled, f"({tail_sql(landed, self.point)})")
            assert rows_of(cached) == sorted(self.writer.execute(wanted).fetchall()), commit
        return tables


def rows_of(cached: CachedTable) -> list[tuple[Any, ...]]:
    segment = open_segment(Path(cached.segments[0]))
    table = pa.Table.from_batches(segment.batches, segment.schema)
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    made = Flow(tmp_path_factory.mktemp("live") / "lake")
    yield made
    made.close()


def expire(flow: Flow) -> None:
    """Let all snapshots expire that no release names."""
    with flow.lake.catalog.connect() as connection:
        rows = connection.execute(
            "select snapshot_id from ducklake.ducklake_snapshot where snapshot_id < "
            "(select max(snapshot_id) from ducklake.ducklake_snapshot) "
            "and snapshot_id not in (select snapshot_id from lavra.release)"
        ).fetchall()
    if rows:
        versions = [row[0] for row in rows]
        flow.write(f"call ducklake_expire_snapshots('lake', versions => {versions})")


def break_off(flow: Flow) -> None:
    """Let the catalog throw everybody out."""
    flow.writer.close()
    flow.lake.duck.close()
    with flow.lake.catalog.connect(autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    flow.writer, flow.lake.duck = flow.connect(), flow.connect()
    flow.land({"orders": 1})
    for _ in range(5):
        try:
            flow.follow()
        except CatalogError:
            continue
        return
    flow.follow()


def add_column(flow: Flow) -> None:
    columns = flow.writer.execute("describe lake.landing_flow.orders").fetchall()
    flow.write(f"alter table lake.landing_flow.orders add column c{len(columns)} varchar")
    flow.land({"orders": 2})


def discard(flow: Flow) -> None:
    """A load that was interrupted: its rows go, and a new load begins."""
    gone = flow.generation
    flow.generation += 1
    flow.land(
        {"orders": 3},
        first=f"delete from lake.landing_flow.orders where _airbyte_generation_id = {gone} "
        f"and _lavra_sequence > {flow.point}",
    )


ACTIONS: dict[Callable[[Flow], object], int] = {
    lambda flow: flow.land({"orders": 2, "items": 3}): 30,
    lambda flow: flow.land({"items": 60}): 15,
    lambda flow: flow.land({"orders": 1}): 15,
    discard: 8,
    add_column: 4,
    lambda flow: flow.write("call ducklake_flush_inlined_data('lake')"): 10,
    lambda flow: flow.write("call ducklake_merge_adjacent_files('lake')"): 4,
    lambda flow: flow.write("delete from lake.silver.orders"): 4,  # half of a run
    expire: 6,
    Flow.settle: 8,
    break_off: 2,
}
"""What happens to a lake, and how often."""


def test_copies_equal_the_lake(flow: Flow) -> None:
    for action in ACTIONS:
        action(flow)
        flow.land({"orders": 1, "items": 1})
        flow.follow()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
def test_copies_equal_the_lake_for_long(flow: Flow, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for action in chance.choices(list(ACTIONS), list(ACTIONS.values()), k=100):
        action(flow)
        if chance.random() < 0.7:  # so that commits pile up, too
            flow.follow()
    flow.land({"orders": 1, "items": 1})
    flow.follow()


def test_only_what_a_commit_changed_is_read_and_evaluated(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.settle()
    flow.land({"orders": 3, "items": 3})
    before = {t.table_name: t for t in flow.follow()}
    reads: list[str] = []
    original = live_rows._source

    def source(place: tuple[str, str], commit: int) -> str:
        reads.append(place[1])
        return original(place, commit)

    monkeypatch.setattr(live_rows, "_source", source)
    flow.land({"items": 2})
    after = {t.table_name: t for t in flow.follow()}
    assert reads == ["items"]
    assert after["orders"].segments == before["orders"].segments
    assert after["items"].segments != before["items"].segments
    # What the newest state needs stays, even if it is an older state's; the rest goes.
    kept = {Path(s) for t in after.values() for s in t.segments}
    flow.reader.keep_only(kept, {flow.release.id: flow.views})
    assert {t.table_name: rows_of(t) for t in after.values()} == {
        "orders": rows_of(before["orders"]), "items": rows_of(after["items"]),
    }  # fmt: skip
    assert not Path(before["items"].segments[0]).exists()


@pytest.mark.soak
def test_what_is_too_large_to_copy_is_read_in_the_lake(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_rows, "HELD_ROWS", 10)
    monkeypatch.setattr(live_rows, "HELD_BYTES", -1)
    flow.land({"orders": 40, "items": 5})
    flow.follow()
    flow.settle()
    for rows in (20, 3, 0):
        flow.land({"orders": rows, "items": 1} if rows else {"items": 1})
        expire(flow)
        flow.follow()
