"""Which connections that Lavra lands itself are due, and why."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lavra.landing.connection_lock import is_held
from lavra.landing.connections import FILES
from lavra.landing.references import resolve, unset
from lavra.sensors.attempts import last_landings, read_attempts

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.landing.connections import Connection
    from lavra.settings import Settings


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
    settings: Settings,
    catalog: Catalog,
    connections: Iterable[Connection],
    now: dt.datetime,
    settle: dt.timedelta = SETTLE,
) -> list[Due]:
    """Return the connections without a schedule whose files changed since they were landed.

    Args:
        settings: Where the project is.
        catalog: Knows what was landed.
        connections: Those that do not read files on this machine are left out.
        now: An aware time.
        settle: How long files must be still.
    """
    attempts, landings = read_attempts(catalog), last_landings(catalog)
    found = []
    for connection in connections:
        if connection.schedule.cron is not None or connection.destination.dialect is not None:
            continue
        files = _files(settings, connection)
        if not files or is_held(catalog, connection.name):
            continue
        newest = dt.datetime.fromtimestamp(max(time for _, _, time in files) / 1e9, dt.UTC)
        if now - newest < settle:
            continue
        text = "\n".join(f"{name}\0{size}\0{time}" for name, size, time in files)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        attempt = attempts.get(connection.name)
        if attempt and attempt.fingerprint:
            is_due = attempt.fingerprint != fingerprint or not attempt.is_over
        else:
            last = landings.get(connection.name)
            is_due = last is None or last < newest
        if is_due:
            found.append(Due(connection, fingerprint=fingerprint))
    return found


def _files(settings: Settings, connection: Connection) -> list[tuple[str, int, int]]:
    """Return path, size and time (ns) of the files that a connection reads on this machine."""
    config = connection.source.config
    if connection.source.connector not in FILES or not config or unset(config):
        return []
    root = Path(str(resolve(config).get("root", ""))).expanduser()
    root = root if root.is_absolute() else settings.project / root
    found = []
    for path in sorted({path for s in connection.streams for path in root.glob(s.path or "")}):
        try:
            status = path.stat()
        except FileNotFoundError:  # gone since it was listed
            continue
        found.append((str(path), status.st_size, status.st_mtime_ns))
    return found
