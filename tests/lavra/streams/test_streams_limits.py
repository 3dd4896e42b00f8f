"""Rows that do not fit are kept aside; log and files are kept as long as they must, not longer."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from lavra.streams.landing import StreamLanding
from lavra.streams.maintenance import MaintenanceLimits
from lavra.streams.retention import RetentionGuard
from lavra.streams.source import SOURCE_META, Batch, Lag, TableChanges
from tests.lavra.streams.conftest import Followed, StreamLake

Follow = Callable[..., Followed]
NUMBERS = "create table numbers (id int primary key, body text)"


def insert(followed: Followed, first: int, last: int) -> None:
    followed.sql(f"insert into numbers select g, 'n' || g from generate_series({first}, {last}) g")


def test_values_without_a_place_are_quarantined(follow: Follow) -> None:
    followed = follow(
        "public.odd",
        sql="create table odd (id int primary key, at timestamptz, part numeric(8,2), note text)",
    )
    followed.sql("insert into odd values (1, 'infinity', 1, 'loaded'), (2, now(), 2, 'fits')")
    followed.catch_up()
    followed.sql("insert into odd values (3, '0044-03-15 BC', 1, 'early'), (4, now(), 4, 'fits')",
                 "insert into odd values (5, now(), 'NaN', 'none')")  # fmt: skip
    followed.catch_up()
    assert followed.current("odd", "id, note", "id") == [(2, "fits"), (4, "fits")]
    kept = followed.lake.rows(
        "select table_name, reason, row->>'$.id', row->>'$.note' "
        f"from lake.landing_{followed.name}._quarantine order by _lavra_sequence"
    )
    assert kept == [
        ("odd", "does not fit: at", "1", "loaded"),
        ("odd", "does not fit: at", "3", "early"),
        ("odd", "does not fit: part", "5", "none"),
    ]
    landing = StreamLanding(followed.lake.catalog, followed.lake.storage, followed.name)
    assert landing.committed.quarantined == 3
    landing.close()


def test_what_the_source_keeps_is_limited(follow: Follow) -> None:
    followed = follow("public.numbers", sql=NUMBERS)
    insert(followed, 1, 10)
    followed.catch_up()
    limits = {"wal_alarm_mb": 1, "wal_limit_mb": 2}
    followed.declaration = followed.declaration.model_copy(
        update={"slot": followed.declaration.slot.model_copy(update=limits)}
    )
    lags: list[Lag] = []
    guard = RetentionGuard(
        followed.declaration, followed.source, observe=lambda _, lag: lags.append(lag)
    )
    guard.look()
    slots = (
        "select count(*) from pg_replication_slots where database = current_database() "
        "and slot_type = 'logical'"
    )
    assert followed.query(slots) == [(1,)]
    followed.sql("update numbers set body = (select string_agg(md5(random()::text || g), '') "
                 "from generate_series(1, 20000) g)")  # fmt: skip
    guard.look()
    assert lags[-1].retained_bytes > 2 * 1024 * 1024
    assert followed.query(slots) == [(0,)]
    followed.catch_up()  # loads anew
    assert followed.current("numbers", "id, body", "id") == followed.query(
        "select id, body from numbers order by id"
    )


def test_expiry_leaves_what_a_release_needs(stream_lake: StreamLake) -> None:
    lake = stream_lake
    hurried = MaintenanceLimits(
        flush_rows=1, flush_s=0, merge_files=2, merge_sizes=(12_000, 50_000, 100_000),
        position_commits=2, expire_s=0, keep_snapshots_s=0, keep_files_s=0,
    )  # fmt: skip
    landing = StreamLanding(lake.catalog, lake.storage, "expiry", hurried)
    schema = pa.schema([("id", pa.int64()), *SOURCE_META])

    def land(first: int, rows: int) -> None:
        batch = pa.RecordBatch.from_pylist(
            [{"id": i, "_lavra_sequence": i} for i in range(first, first + rows)], schema
        )
        changes = TableChanges("public", "numbers", ("id",), batch)
        landing.land(Batch((changes,), {"at": first}, first + rows - 1, rows=rows))
        landing.maintain()

    def snapshots() -> list[int]:
        with lake.catalog.connect() as connection:
            rows = connection.execute(
                "select snapshot_id from ducklake.ducklake_snapshot order by 1"
            ).fetchall()
        return [row[0] for row in rows]

    def file_sizes(table: str) -> list[int]:
        with lake.catalog.connect() as connection:
            rows = connection.execute(
                "select f.file_size_bytes from ducklake.ducklake_data_file f "
                "join ducklake.ducklake_table t using (table_id) join ducklake.ducklake_schema s "
                "using (schema_id) where f.end_snapshot is null and t.table_name = %s "
                "and s.schema_name = 'landing_expiry' order by 1", (table,),
            ).fetchall()  # fmt: skip
        return [row[0] for row in rows]

    try:
        land(1, 10)
        land(11, 600)
        released = snapshots()[-1]
        with lake.catalog.connect() as connection:
            connection.execute(
                "insert into lavra.release (environment, snapshot_id, cause) "
                "values ('prod', %s, 'plan')", (released,),
            )  # fmt: skip
        for round_ in range(6):
            land(1000 + 700 * round_, 10 if round_ % 2 else 700)
        kept = snapshots()
        assert released in kept
        # Of what came after it many are gone; how many depends on the time that each round took.
        assert len(kept) < 0.8 * kept[-1]
        counted = lake.rows(
            f"select count(*), sum(id) from lake.landing_expiry.numbers at (version => {released})"
        )
        assert counted == [(610, 610 * 611 // 2)]
        # Files were merged with others of their size, and old positions are in none.
        assert len(file_sizes("numbers")) < 6
        assert len(file_sizes("_position")) == 1
        landed = lake.rows("select count(*), count(distinct id) from lake.landing_expiry.numbers")
        assert landed == [(610 + 3 * 710, 610 + 3 * 710)]
    finally:
        landing.close()
        with lake.catalog.connect() as connection:
            connection.execute("delete from lavra.release")
