"""What was begun because it was due.

It is kept in the catalog, so that a restart neither repeats a tick that is done nor forgets one
whose process died.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lavra.catalog import Catalog

STALE = dt.timedelta(minutes=1)
"""After this long, an attempt that neither ended nor holds its connection's lock has died."""


@dataclass(frozen=True)
class Attempt:
    """The newest attempt of a connection; ``is_over`` is False while it runs, or if it died."""

    tick: dt.datetime | None
    fingerprint: str | None
    is_over: bool


def read_attempts(catalog: Catalog) -> dict[str, Attempt]:
    """Return the newest attempt of each connection that had one."""
    with catalog.connect() as connection:
        rows = connection.execute(
            "select connection, tick, fingerprint, ended_at is not null from lavra.landing_attempt"
        ).fetchall()
    return {name: Attempt(*rest) for name, *rest in rows}


def last_landings(catalog: Catalog) -> dict[str, dt.datetime]:
    """Return when each connection's newest sync began, whoever began it."""
    with catalog.connect() as connection:
        rows = connection.execute(
            "select s.connection, max(l.started_at) from lavra.landing_sync l "
            "join lavra.landing_stream s using (namespace, stream) "
            "where l.status in ('succeeded', 'failed') and l.sync_mode <> 'compaction' "
            "group by s.connection"
        ).fetchall()
    return {name: at.astimezone(dt.UTC) for name, at in rows}


def claim(
    catalog: Catalog,
    connection: str,
    *,
    tick: dt.datetime | None = None,
    fingerprint: str | None = None,
) -> bool:
    """Begin an attempt, unless another process has begun the same one meanwhile and ended it."""
    with catalog.connect() as database:
        row = database.execute(
            """
            insert into lavra.landing_attempt as a (connection, tick, fingerprint, begun_at)
            values (%s, %s, %s, clock_timestamp())
            on conflict (connection) do update set tick = coalesce(excluded.tick, a.tick),
                fingerprint = coalesce(excluded.fingerprint, a.fingerprint),
                begun_at = excluded.begun_at, ended_at = null
            where (a.ended_at is null and a.begun_at < clock_timestamp() - %s)
               or a.tick is distinct from coalesce(excluded.tick, a.tick)
               or a.fingerprint is distinct from coalesce(excluded.fingerprint, a.fingerprint)
            returning connection
            """,
            (connection, tick, fingerprint, STALE),
        ).fetchone()
    return row is not None


def finish(catalog: Catalog, connection: str) -> None:
    """Record that an attempt is over, however it went."""
    with catalog.connect() as database:
        database.execute(
            "update lavra.landing_attempt set ended_at = clock_timestamp() where connection = %s",
            (connection,),
        )
