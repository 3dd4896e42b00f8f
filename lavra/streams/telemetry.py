"""What a running stream says of itself: a row in the catalog, and numbers for Prometheus."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from lavra.errors import CatalogError, LavraError

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.streams.declarations import StreamDeclaration
    from lavra.streams.landing import StreamLanding
    from lavra.streams.source import Batch

logger = logging.getLogger(__name__)

_EVERY_S = 1.0
_HALF_LIFE_S = 5.0


class StreamTelemetry:
    """Keeps one stream's row in ``lavra.stream_status``; a catalog that is away stops nothing."""

    def __init__(self, catalog: Catalog, stream: StreamDeclaration) -> None:
        self._catalog, self._stream = catalog, stream
        self._rate, self._rated_at, self._written_at = 0.0, time.monotonic(), 0.0

    def observe(self, batch: Batch, landing: StreamLanding, commit_seconds: float) -> None:
        """Note a commit."""
        now = time.monotonic()
        elapsed = max(now - self._rated_at, 1e-6)
        weight = 0.5 ** (elapsed / _HALF_LIFE_S)
        self._rate = self._rate * weight + (batch.rows / elapsed) * (1 - weight)
        self._rated_at = now
        logger.debug("stream %s: %d rows committed in %.3f s",
                     self._stream.name, batch.rows, commit_seconds)  # fmt: skip
        if now - self._written_at < _EVERY_S:
            return
        self._written_at = now
        committed = landing.committed
        lag = None if batch.last_commit is None else max(time.time() - batch.last_commit, 0.0)
        self._write(
            "insert into lavra.stream_status (stream, state, last_commit, source_committed_at, "
            "lag_seconds, events_per_second, bytes_per_event, row_count, quarantined) "
            "values (%s, 'running', %s, %s, %s, %s, %s, %s, %s) on conflict (stream) do update set "
            "state = 'running', updated_at = clock_timestamp(), error = null, "
            "last_commit = excluded.last_commit, "
            "source_committed_at = excluded.source_committed_at, "
            "lag_seconds = coalesce(excluded.lag_seconds, stream_status.lag_seconds), "
            "events_per_second = excluded.events_per_second, "
            "bytes_per_event = coalesce(excluded.bytes_per_event, stream_status.bytes_per_event), "
            "row_count = excluded.row_count, "
            "quarantined = excluded.quarantined",
            (self._stream.name, committed.committed_at, committed.source_committed_at, lag,
             self._rate, batch.bytes / batch.rows if batch.rows else None, committed.row_count,
             committed.quarantined),
        )  # fmt: skip

    def report(self, state: str, error: LavraError | None) -> None:
        """Note in what state the stream is."""
        self._write(
            "insert into lavra.stream_status (stream, state, error) values (%s, %s, %s) "
            "on conflict (stream) do update set state = excluded.state, error = excluded.error, "
            "updated_at = clock_timestamp(), events_per_second = 0, "
            "started_at = case when excluded.state = 'running' then clock_timestamp() "
            "else stream_status.started_at end",
            (self._stream.name, state, error.message if error else None),
        )

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            with self._catalog.connect() as connection:
                connection.execute(statement, values)
        except CatalogError as error:
            logger.debug("stream %s: its status was not written: %s", self._stream.name, error)
