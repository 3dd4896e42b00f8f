"""How streams stand, for people and for `lavra status`."""

from __future__ import annotations

import datetime as dt

import psycopg

from lavra.landing.status import stream_statuses
from tests.lavra.landing.conftest import Lander


def test_status_of_a_stream_over_its_life(source: psycopg.Connection, lander: Lander) -> None:
    declared = lander.connection(freshness="1h")
    [never] = stream_statuses(lander.catalog, [declared])
    assert (never.landed_at, never.row_count, never.is_fresh) == (None, 0, False)
    source.execute("create table things (id int); insert into things values (1), (2)")
    lander.land()
    [fresh] = stream_statuses(lander.catalog, [declared])
    assert (fresh.row_count, fresh.file_count, fresh.last_status) == (2, 1, "succeeded")
    assert fresh.is_fresh is True
    assert (fresh.freshness_shown, fresh.last_run_shown) == ("yes (within 1h)", "succeeded: 2 rows")
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    [stale] = stream_statuses(lander.catalog, [declared], now=later)
    assert stale.freshness_shown == "no (within 1h)"
    source.execute("alter table things add v int")
    lander.land()
    source.execute("drop table things")
    lander.land()
    [failed] = stream_statuses(lander.catalog, [lander.connection()])
    assert (failed.last_status, failed.row_count, failed.is_fresh) == ("failed", 2, None)
    assert "no table public.things" in (failed.last_error or "")
    assert [(c["column"], c["change"]) for c in failed.schema_changes] == [("v", "added")]
