"""Incremental reads: ties, late commits, the future, and each version of a row once."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from lavra.landing.manifest import current_paths, stream_state
from tests.lavra.landing.conftest import Lander

MODE: dict[str, Any] = {
    "sync_mode": "incremental_deduped_history", "cursor_field": "updated_at", "primary_key": "id",
}  # fmt: skip


@pytest.fixture
def things(source: psycopg.Connection) -> psycopg.Connection:
    source.execute("create table things (id int primary key, v text, updated_at timestamptz)")
    return source


def put(source: psycopg.Connection, number: int, value: str, at: str) -> None:
    source.execute(
        "insert into things values (%s, %s, %s) on conflict (id) do update "
        "set v = excluded.v, updated_at = excluded.updated_at",
        (number, value, at),
    )


def landed(lander: Lander) -> list[tuple[Any, ...]]:
    return sorted(lander.rows("id", "v"))


def test_only_what_is_new_lands_and_an_idle_run_lands_nothing(
    things: psycopg.Connection, lander: Lander
) -> None:
    put(things, 1, "a", "2026-01-01 10:00")
    put(things, 2, "b", "2026-01-01 10:01")
    assert lander.land(**MODE).row_count == 2
    assert lander.land(**MODE).row_count == 0
    put(things, 1, "a2", "2026-01-01 10:02")
    put(things, 3, "c", "2026-01-01 11:00")
    assert lander.land(**MODE).row_count == 2
    assert landed(lander) == [(1, "a"), (1, "a2"), (2, "b"), (3, "c")]
    assert lander.land(**MODE).row_count == 0
    assert len(current_paths(lander.catalog, "test", "things")) == 2
    state = stream_state(lander.catalog, "test", "things").state
    assert state is not None
    assert (state["cursor_field"], state["cursor"][:16]) == ("updated_at", "2026-01-01 11:00")


def test_ties_and_late_commits_are_found_and_nothing_lands_twice(
    things: psycopg.Connection, lander: Lander
) -> None:
    put(things, 1, "a", "2026-01-01 10:00:00")
    lander.land(**MODE)
    put(things, 2, "tie", "2026-01-01 10:00:00")
    put(things, 3, "late", "2026-01-01 09:56:00")
    put(things, 4, "too late", "2026-01-01 09:54:00")
    assert lander.land(**MODE).row_count == 2
    put(things, 5, "later", "2026-01-01 09:59:00")
    assert lander.land(**MODE).row_count == 1
    assert landed(lander) == [(1, "a"), (2, "tie"), (3, "late"), (5, "later")]
    wider = MODE | {"cursor_lag": "1h"}
    lander.land(**wider)
    put(things, 6, "within an hour", "2026-01-01 09:30:00")
    assert lander.land(**wider).row_count == 2


def test_a_transaction_that_commits_after_the_run_is_not_lost(
    things: psycopg.Connection, lander: Lander
) -> None:
    with psycopg.connect(things.info.dsn) as slow:
        slow.execute("insert into things values (1, 'slow', '2026-01-01 10:00:00')")
        put(things, 2, "fast", "2026-01-01 10:00:01")
        assert lander.land(**MODE).row_count == 1
        slow.commit()
    assert lander.land(**MODE).row_count == 1
    assert landed(lander) == [(1, "slow"), (2, "fast")]


def test_a_row_from_the_future_hides_nothing(things: psycopg.Connection, lander: Lander) -> None:
    put(things, 1, "future", "2999-01-01")
    lander.land(**MODE)
    things.execute("insert into things values (2, 'now', clock_timestamp())")
    assert lander.land(**MODE).row_count == 1
    assert lander.land(**MODE).row_count == 0
    assert landed(lander) == [(1, "future"), (2, "now")]


def test_rows_without_a_cursor_land_with_the_first_read(
    things: psycopg.Connection, lander: Lander
) -> None:
    things.execute("insert into things values (1, 'none', null)")
    assert lander.land(**MODE).row_count == 1
    put(things, 2, "b", "2026-01-01")
    lander.land(**MODE)
    assert (2, "b") in landed(lander)


def test_a_full_refresh_starts_a_new_generation(things: psycopg.Connection, lander: Lander) -> None:
    put(things, 1, "a", "2026-01-01")
    lander.land(**MODE)
    things.execute("delete from things")
    put(things, 2, "b", "2025-01-01")
    assert lander.land(**MODE).row_count == 0
    assert lander.land(full_refresh=True, **MODE).row_count == 1
    assert landed(lander) == [(2, "b")]
    put(things, 3, "c", "2026-01-01")
    lander.land(**MODE)
    assert landed(lander) == [(2, "b"), (3, "c")]


@pytest.mark.parametrize("kind", ["bigint", "date", "text", "timestamp", "numeric(10,2)"])
def test_cursors_of_every_kind_without_a_key(
    source: psycopg.Connection, lander: Lander, kind: str
) -> None:
    values = {
        "bigint": (1, 2), "date": ("2026-01-01", "2026-01-02"), "text": ("a", "b"),
        "timestamp": ("2026-01-01 10:00", "2026-01-02 10:00"), "numeric(10,2)": ("1.50", "1.51"),
    }[kind]  # fmt: skip
    source.execute(f"create table things (v text, c {kind})".encode())
    mode = {"sync_mode": "incremental_append", "cursor_field": "c"}
    source.execute("insert into things values ('x', %s)", (values[0],))
    assert lander.land(**mode).row_count == 1
    source.execute("insert into things values ('tie', %s), ('new', %s)", (values[0], values[1]))
    assert lander.land(**mode).row_count == 2
    assert lander.land(**mode).row_count == 0
    assert sorted(lander.rows("v")) == [("new",), ("tie",), ("x",)]


def test_a_wrong_cursor_is_named(things: psycopg.Connection, lander: Lander) -> None:
    result = lander.land(**MODE | {"cursor_field": "changed"})
    assert "reads by changed, which is not among its columns" in (result.error or "")
    things.execute("alter table things add data jsonb")
    result = lander.land(**MODE | {"cursor_field": "data"})
    assert "json cannot be a cursor" in (result.error or "")
