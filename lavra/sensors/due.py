"""Which connections that Lavra lands itself are due, and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lavra.errors import SourceError
from lavra.landing.connection_lock import is_held
from lavra.sensors.attempts import last_landings, read_attempts

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.errors import LavraError
    from lavra.landing.connections import Connection
    from lavra.sensors.files import FileSensor


@dataclass(frozen=True)
class Due:
    """A connection that is due, by a tick of its schedule or by its files."""

    connection: Connection
    tick: dt.datetime | None = None
    fingerprint: str | None = None

    @property
    def reason(self) -> str:
        """Why, in words."""
        if self.tick is None:
            return "its files changed"
        return f"due since {self.tick:%Y-%m-%d %H:%M:%S} UTC"


def due(catalog: Catalog, connections: Iterable[Connection], now: dt.datetime) -> list[Due]:
    """Return the connections whose schedule is due.

    One is due when a tick has passed since it was last begun; at once, if it never was. An
    attempt whose process died is due again; one that runs is not.

    Args:
        catalog: Knows what was begun.
        connections: Those that Airbyte lands are left out: its own schedule runs them.
        now: An aware time.
    """
    attempts, landings = read_attempts(catalog), last_landings(catalog)
    found = []
    for connection in connections:
        cron = connection.schedule.cron
        if cron is None or connection.destination.dialect is not None:
            continue
        tick = cron.previous(now)
        if tick is None or is_held(catalog, connection.name):
            continue
        attempt = attempts.get(connection.name)
        if attempt and attempt.tick:
            is_due = attempt.tick < tick or not attempt.is_over
        else:
            last = landings.get(connection.name)
            is_due = last is None or last < tick
        if is_due:
            found.append(Due(connection, tick=tick))
    return found


SETTLE = dt.timedelta(seconds=5)
"""Files that changed less than this ago are let alone: somebody may be writing them."""


def changed_files(
    catalog: Catalog,
    connections: Iterable[Connection],
    now: dt.datetime,
    *,
    sensor: FileSensor,
    on_trouble: Callable[[LavraError], None],
    settle: dt.timedelta = SETTLE,
) -> list[Due]:
    """Return the connections without a schedule whose files changed since they were landed.

    Args:
        catalog: Knows what was landed.
        connections: Those that do not read files are left out.
        now: An aware time.
        sensor: Lists the files, here or in a bucket; many of them take more than one look.
        on_trouble: Hears of a bucket that cannot be listed.
        settle: How long files must be still.
    """
    attempts, landings = read_attempts(catalog), last_landings(catalog)
    found = []
    for connection in connections:
        if connection.schedule.cron is not None or connection.destination.dialect is not None:
            continue
        if is_held(catalog, connection.name):
            continue
        try:
            listing = sensor.look(connection)
        except SourceError as error:
            on_trouble(error)
            continue
        if listing is None or listing.newest is None or now - listing.newest < settle:
            continue
        attempt = attempts.get(connection.name)
        if attempt and attempt.fingerprint:
            is_due = attempt.fingerprint != listing.fingerprint or not attempt.is_over
        else:
            last = landings.get(connection.name)
            is_due = last is None or last < listing.newest
        if is_due:
            found.append(Due(connection, fingerprint=listing.fingerprint))
    return found
