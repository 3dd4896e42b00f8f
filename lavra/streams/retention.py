"""Watches what a source keeps for a stream: an alarm, and a limit that saves the source."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lavra.errors import LavraError

if TYPE_CHECKING:
    from lavra.streams.declarations import StreamDeclaration
    from lavra.streams.source import Lag, StreamSource

logger = logging.getLogger(__name__)

EVERY_S = 10.0
_MEBIBYTE = 1024 * 1024


class RetentionGuard:
    """Looks again and again, also while the stream waits for a lake that is away.

    Above ``slot.wal_alarm_mb`` it warns; above ``slot.wal_limit_mb`` it has the source forget
    the stream, which then loads its tables anew.

    Args:
        stream: Whose source is watched.
        connect: Returns the source, not connected.
        observe: Called with the stream's name and each lag.
        every_s: Seconds between two looks.
    """

    def __init__(
        self,
        stream: StreamDeclaration,
        connect: Callable[[], StreamSource],
        *,
        observe: Callable[[str, Lag], None] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._stream, self._connect = stream, connect
        self._observe, self._every_s = observe, every_s
        self._is_alarmed = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch, in a thread, for the block."""
        ending = threading.Event()

        def watch() -> None:
            while not ending.wait(self._every_s):
                try:
                    self.look()
                except LavraError as error:
                    logger.debug("stream %s: its source cannot be asked: %s",
                                 self._stream.name, error)  # fmt: skip
                except Exception:  # whatever it is, the source's disk must be watched on
                    logger.exception("stream %s: what its source keeps is unknown",
                                     self._stream.name)  # fmt: skip

        thread = threading.Thread(target=watch, name=f"retention-{self._stream.name}")
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def look(self) -> None:
        """Take one look.

        Raises:
            SourceError: the source cannot be reached.
            ConfigurationError: it is not configured.
        """
        source = self._connect()
        lag = source.lag()
        if self._observe:
            self._observe(self._stream.name, lag)
        limits = self._stream.slot
        kept = lag.retained_bytes / _MEBIBYTE
        if kept > limits.wal_limit_mb:
            logger.error(
                "stream %s: its source keeps %.0f MiB of log for it, more than "
                "slot.wal_limit_mb = %d: the slot is dropped, the tables are loaded anew",
                self._stream.name, kept, limits.wal_limit_mb,
            )  # fmt: skip
            source.forget()
        elif kept > limits.wal_alarm_mb and not self._is_alarmed:
            logger.warning(
                "stream %s: its source keeps %.0f MiB of log for it, more than "
                "slot.wal_alarm_mb = %d", self._stream.name, kept, limits.wal_alarm_mb,
            )  # fmt: skip
        self._is_alarmed = kept > limits.wal_alarm_mb
