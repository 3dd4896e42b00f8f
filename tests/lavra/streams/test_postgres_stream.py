"""From a commit in Postgres to Bronze: initial load, every kind of change, every restart."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from lavra.errors import ConfigurationError
from tests.lavra.streams.conftest import Followed

Follow = Callable[..., Followed]
ITEMS = (
    "create table items (id bigint primary key, name text, price numeric(12,2), "
    "seen timestamptz, tags text[], sizes int[], flag bool, data bytea, day date, clock time)"
)


def test_initial_load_and_every_kind_of_change(follow: Follow) -> None:
    followed = follow("public.items", sql=ITEMS)
    values = "'é', 12.50, '2026-01-02 03:04:05.678+00', '{a,\"b c\",NULL}', '{1,2}', true, '\\x00ff', '2026-01-02', '10:20:30.5'"  # noqa: E501
    followed.sql(f"insert into items values (1, {values}), (2, {values})")
    followed.catch_up()
    expected = (
        "é", Decimal("12.50"), dt.datetime(2026, 1, 2, 3, 4, 5, 678000, dt.UTC), '["a","b c",null]',
        "[1,2]", True, b"\x00\xff", dt.date(2026, 1, 2), dt.time(10, 20, 30, 500000),
    )  # fmt: skip
    columns = "id, name, price, seen, tags, sizes, flag, data, day, clock"
    assert followed.current("items", columns, "id") == [(1, *expected), (2, *expected)]

    followed.sql(f"insert into items values (3, {values})")
    followed.sql("update items set name = 'x' where id = 1", "delete from items where id = 2")
    followed.sql("update items set id = 4 where id = 3")
    followed.catch_up()
    changed = ("x", *expected[1:])
    assert followed.current("items", columns, "id") == [(1, *changed), (4, *expected)]
    kinds = followed.landed("items", "id, name, _ab_cdc_deleted_at is not null")
    assert kinds == [
        (1, "é", False), (2, "é", False), (3, "é", False), (1, "x", False), (2, None, True),
        (3, None, True), (4, "é", False),
    ]  # fmt: skip
    numbers = [row[0] for row in followed.landed("items", "_lavra_sequence")]
    assert numbers == sorted(set(numbers))

    followed.sql("truncate items", f"insert into items values (9, {values})")
    followed.catch_up()
    assert followed.current("items", "id", "id") == [(9,)]


def test_a_table_without_identity_is_refused_before_it_is_published(follow: Follow) -> None:
    followed = follow("public.loose", sql="create table loose (id int)")
    with pytest.raises(ConfigurationError, match=r"public\.loose has no usable replica identity"):
        followed.catch_up()
    assert followed.query("select count(*) from pg_publication") == [(0,)]
    followed.sql("insert into loose values (1)", "update loose set id = 2")


def test_unchanged_large_values_keep_their_content(follow: Follow) -> None:
    followed = follow(
        "public.docs", sql="create table docs (id int primary key, body text, note text);"
        "alter table docs alter body set storage external",
    )  # fmt: skip
    body = "x" * 10_000
    followed.sql(f"insert into docs values (1, '{body}', 'a'), (2, '{body}y', 'a')")
    followed.catch_up()
    followed.sql("update docs set note = 'b'")
    followed.sql("update docs set id = 3 where id = 2", "update docs set note = 'c' where id = 3")
    followed.catch_up()
    assert followed.current("docs", "id, body, note", "id") == [
        (1, body, "b"), (3, body + "y", "c"),
    ]  # fmt: skip


def test_a_transaction_larger_than_a_batch_lands_once(follow: Follow) -> None:
    followed = follow("public.big", sql="create table big (id int primary key)", max_rows=100)
    followed.catch_up()
    followed.sql("insert into big select generate_series(1, 950)", "delete from big where id < 10")
    batches = 0
    from lavra.streams.landing import StreamLanding

    while True:  # a new start after every single batch
        landing = StreamLanding(followed.lake.catalog, followed.lake.storage, followed.name)
        source = followed.source()
        source.open(landing.committed.position, landing.committed.sequence)
        batch = None
        while batch is None and not source.is_caught_up():
            batch = source.poll(time.monotonic() + 0.1)
        if batch:
            landing.land(batch)
            batches += 1
        source.close()
        landing.close()
        if batch is None or not batch.splits_transaction:
            break
    assert batches >= 9
    landed = followed.landed("big", "id, _ab_cdc_deleted_at is null")
    assert landed == [(i, True) for i in range(1, 951)] + [(i, False) for i in range(1, 10)]
