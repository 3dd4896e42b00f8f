"""Advisory locks in the catalog: held by a connection, freed by its death."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lavra.errors import CatalogError

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog.catalog import Catalog

LAKE_WRITE_LOCK = 0x1A57A_0002
"""Held by whoever plans, runs or releases: one at a time for the whole lake."""

WORKER_LOCK = 0x1A57A_0003
"""Held by the one worker of the lake that follows its streams."""

WORKER_INGEST_LOCK = 0x1A57A_0004
"""Held by the one worker that lands connections when they are due."""

WORKER_MODELS_LOCK = 0x1A57A_0005
"""Held by the one worker that runs models when something arrived."""

RECEIVER_LOCK = 0x1A57A_0006
"""Held by the receiver of events that acts on them."""

EXPORT_LOCK = 0x1A57A_0008
"""Held by who exports a release as plain Parquet."""

WAREHOUSE_LOCK = 0x1A57A_0009
"""Held by whoever plans or runs the models in BigQuery."""


@contextmanager
def advisory_lock(
    catalog: Catalog,
    key: int,
    *,
    timeout_s: float | None = None,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[psycopg.Connection]:
    """Hold the lock ``key`` for the block, waiting for it if another process has it.

    Yields the connection that holds it. What is written through that connection is written
    while the lock is held: if the connection has died, the lock is gone and the write fails.

    Args:
        catalog: Where the lock lives.
        key: One of the constants of this module or of the module that owns the lock.
        timeout_s: Give up after this many seconds; None waits for ever.
        on_wait: Called once, before the first wait, so that a person can be told.

    Raises:
        CatalogError: the time is up.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    told = False
    with catalog.connect(autocommit=True) as connection:
        while True:
            row = connection.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone()
            if row and row[0]:
                break
            if not told and on_wait:
                on_wait()
            told = True
            if deadline is not None and time.monotonic() > deadline:
                raise CatalogError(
                    f"Another process still holds lock {key:#x} after {timeout_s:.0f} s.",
                    remedy="`lavra status` shows who writes to the lake.",
                )
            time.sleep(0.2)
        yield connection


def held_since(connection: psycopg.Connection, key: int) -> dt.datetime | None:
    """Return since when the connection that holds a lock exists; None when nobody holds it."""
    row = connection.execute(
        "select a.backend_start from pg_locks l join pg_stat_activity a using (pid) "
        "where l.locktype = 'advisory' and l.granted and l.objsubid = 1 "
        "and l.classid::bigint = %s and l.objid::bigint = %s limit 1",
        (key >> 32, key & 0xFFFF_FFFF),
    ).fetchone()
    return None if row is None else row[0]
