"""How each stream does, and its end at the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg.rows import dict_row

from lavra.errors import ConfigurationError, SourceError
from lavra.streams.postgres import server
from lavra.streams.sources import conninfo_of

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from lavra.streams.declarations import StreamDeclaration

_SILENT_S = 10.0
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class StreamStatus:
    """One stream.

    Attributes:
        name: Of the stream.
        state: running, waiting (for source, catalog or store), stopped, failed; ``silent`` when
            the worker has said nothing for a while.
        lag_seconds: From the last change's commit at the source to its landing; since the last
            landing, when the source holds more.
        lag_events: Changes that wait at the source: an estimate from the bytes of its log.
        lag_bytes: Of the source's log that is not landed; None if the source is away.
        retained_bytes: Of the source's log that it keeps for us.
        is_alarming: Whether it keeps more than ``slot.wal_alarm_mb``.
        events_per_second: Landed lately.
        last_commit: When a batch was last landed.
        quarantined: Rows in quarantine.
        row_count: Rows landed since the stream began.
        error: What stopped it last.
    """

    name: str
    state: str
    lag_seconds: float | None
    lag_events: int | None
    lag_bytes: int | None
    retained_bytes: int | None
    is_alarming: bool
    events_per_second: float
    last_commit: dt.datetime | None
    quarantined: int
    row_count: int
    error: str | None


def read_status(
    settings: Settings, catalog: Catalog, streams: Sequence[StreamDeclaration]
) -> list[StreamStatus]:
    """Return the status of each stream; a source that is away shows as an error of its own."""
    with catalog.connect() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        cursor.execute(
            "select *, extract(epoch from clock_timestamp() - updated_at)::float as silent_s, "
            "extract(epoch from clock_timestamp() - last_commit)::float as since_s "
            "from lavra.stream_status"
        )
        rows = {row["stream"]: row for row in cursor.fetchall()}
    return [_status(settings, stream, rows.get(stream.name)) for stream in streams]


def _status(
    settings: Settings, stream: StreamDeclaration, row: dict[str, object] | None
) -> StreamStatus:
    known = row or {}
    slot, error = None, known.get("error")
    try:
        with server.connect(conninfo_of(settings, stream)) as connection:
            slot = server.read_slot(connection, server.publication_name(settings.name, stream.name))
    except (SourceError, ConfigurationError) as away:
        error = error or away.message
    state = str(known.get("state", "stopped"))
    is_silent = float(known.get("silent_s", 0) or 0) > _SILENT_S  # type: ignore[arg-type]
    if state == "running" and is_silent and (slot is None or not slot.is_active):
        state = "silent"
    return StreamStatus(
        name=stream.name, state=state,
        lag_seconds=known.get("lag_seconds"),  # type: ignore[arg-type]
        lag_events=_events(slot, known.get("bytes_per_event")),
        lag_bytes=slot.behind_bytes if slot else None,
        retained_bytes=slot.retained_bytes if slot else None,
        is_alarming=bool(slot and slot.retained_bytes > stream.slot.wal_alarm_mb * _MEBIBYTE),
        events_per_second=float(known.get("events_per_second", 0) or 0),  # type: ignore[arg-type]
        last_commit=known.get("last_commit"),  # type: ignore[arg-type]
        quarantined=int(known.get("quarantined", 0) or 0),  # type: ignore[call-overload]
        row_count=int(known.get("row_count", 0) or 0),  # type: ignore[call-overload]
        error=str(error) if error else None,
    )  # fmt: skip


def _events(slot: server.Slot | None, bytes_per_event: object) -> int | None:
    if slot is None or not isinstance(bytes_per_event, float) or bytes_per_event <= 0:
        return None
    return round(slot.behind_bytes / bytes_per_event)


def teardown(settings: Settings, stream: StreamDeclaration) -> list[str]:
    """Drop a stream's slot and publication at the source; return what was dropped.

    Needed before the database is dropped; a second call finds nothing. What has landed stays: if
    the stream is followed again, its tables are loaded anew.

    Raises:
        SourceError: the source cannot be reached or refuses.
    """
    name = server.publication_name(settings.name, stream.name)
    dropped = []
    with server.connect(conninfo_of(settings, stream)) as connection:
        if server.drop_slot(connection, name):
            dropped.append(f"replication slot {name}")
        if server.drop_publication(connection, name):
            dropped.append(f"publication {name}")
    return dropped
