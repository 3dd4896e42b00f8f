"""Objects that arrived, by the connections whose files they are; kept until they are handled."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fsspec.utils import glob_translate

from lavra.landing.bronze_writer import stream_folder
from lavra.landing.connections import FILES
from lavra.landing.references import resolve, unset

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.landing.connections import Connection
    from lavra.sensors.events import ObjectEvent
    from lavra.settings import Settings

KEPT = dt.timedelta(days=32)
"""Events that were handled are remembered this long: Pub/Sub repeats one for at most 31 days."""


@dataclass(frozen=True)
class Routes:
    """Which connections depend on which objects."""

    patterns: tuple[tuple[str, str, re.Pattern[str]], ...]

    def connections(self, event: ObjectEvent) -> list[str]:
        """Return the connections that depend on an object; none for most objects of a bucket."""
        found = (
            connection
            for connection, bucket, pattern in self.patterns
            if bucket == event.bucket and pattern.match(event.name)
        )
        return list(dict.fromkeys(found))


def make_routes(settings: Settings, connections: Iterable[Connection]) -> Routes:
    """Return the routes of connections: files they read, and folders that Airbyte lands in."""
    patterns = []
    for connection in connections:
        config = connection.source.config
        if connection.destination.dialect is not None:
            root = settings.resolved_lake_url
            globs = [
                f"{stream_folder(connection.bronze_namespace, stream.name)}/**"
                for stream in connection.streams
            ]
        elif connection.source.connector in FILES and config and not unset(config):
            root = str(resolve(config).get("root", "")).rstrip("/")
            globs = [stream.path or "" for stream in connection.streams]
        else:
            continue
        if not root.startswith("gs://"):
            continue
        bucket, _, prefix = root.removeprefix("gs://").partition("/")
        for glob in globs:
            whole = f"{prefix}/{glob}" if prefix else glob
            patterns.append((connection.name, bucket, re.compile(glob_translate(whole))))
    return Routes(tuple(patterns))


@dataclass(frozen=True)
class Pending:
    """What arrived and has not been handled, by connection.

    Attributes:
        connections: Their names, each with the ids of its events.
        oldest: When the first of them came.
        newest: When the last of them came.
    """

    connections: dict[str, list[str]]
    oldest: dt.datetime
    newest: dt.datetime


def record(catalog: Catalog, event: ObjectEvent, connections: Iterable[str]) -> bool:
    """Keep an event for the connections that depend on it; return whether it is a new one."""
    rows = [(event.id, name, f"gs://{event.bucket}/{event.name}") for name in connections]
    with catalog.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into lavra.landing_event (id, connection, object) values (%s, %s, %s) "
            "on conflict do nothing",
            rows,
        )
        return cursor.rowcount > 0


def pending(catalog: Catalog) -> Pending | None:
    """Return what is to be handled, oldest first; None for nothing."""
    with catalog.connect() as connection:
        rows = connection.execute(
            "select connection, array_agg(id order by received_at), min(received_at), "
            "max(received_at) from lavra.landing_event where handled_at is null "
            "group by connection order by min(received_at)"
        ).fetchall()
    if not rows:
        return None
    oldest, newest = min(row[2] for row in rows), max(row[3] for row in rows)
    return Pending({row[0]: row[1] for row in rows}, oldest, newest)


def handled(catalog: Catalog, done: dict[str, list[str]]) -> None:
    """Record that events were handled, and forget those of long ago."""
    with catalog.connect() as connection:
        for name, ids in done.items():
            connection.execute(
                "update lavra.landing_event set handled_at = clock_timestamp() "
                "where connection = %s and id = any(%s) and handled_at is null",
                (name, ids),
            )
        connection.execute(
            "delete from lavra.landing_event where handled_at < clock_timestamp() - %s", (KEPT,)
        )
