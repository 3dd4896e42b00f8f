"""Runs one stream: batches from the source to the lake, again and again, until told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from lavra.errors import CatalogError, ConfigurationError, LavraError, SourceError, StorageError
from lavra.streams.landing import StreamLanding

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from lavra.streams.declarations import StreamDeclaration
    from lavra.streams.maintenance import MaintenanceLimits
    from lavra.streams.source import Batch, StreamSource

logger = logging.getLogger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0

Observer = Callable[["Batch", "StreamLanding", float], None]
"""Called after each commit with the batch, the landing, and how long the commit took (seconds)."""


def _ignore(*_: object) -> None:
    """Take no note."""


class StreamRunner:
    """One stream of the worker.

    Args:
        catalog: The lake's catalog.
        storage: The lake's files.
        stream: What is followed.
        connect: Returns the stream's source, not connected yet.
        observe: Told of each commit.
        report: Told in what state the stream is, and of the last error.
        limits: When the housekeeping of its tables is done.
    """

    def __init__(
        self,
        catalog: Catalog,
        storage: LakeStorage,
        stream: StreamDeclaration,
        connect: Callable[[], StreamSource],
        *,
        observe: Observer | None = None,
        report: Callable[[str, LavraError | None], None] | None = None,
        limits: MaintenanceLimits | None = None,
    ) -> None:
        self.stream = stream
        self._catalog, self._storage, self._connect = catalog, storage, connect
        self._limits = limits
        self._observe = observe or _ignore
        self._report = report or _ignore
        self._has_landed = False

    def run(self, stopping: threading.Event, *, once: bool = False) -> None:
        """Follow the stream until ``stopping`` is set, trying again whatever breaks off.

        Args:
            stopping: Ends it after the batch that is under way.
            once: End as soon as the source has nothing new.

        Raises:
            ConfigurationError: the stream cannot be followed as it is declared.
            LavraError: with ``once``, whatever broke off.
        """
        wait_s = FIRST_RETRY_S
        while not stopping.is_set():
            self._has_landed = False
            try:
                self._follow(stopping, once=once)
                if once:
                    return
            except ConfigurationError:
                raise
            except (SourceError, CatalogError, StorageError) as error:
                if once:
                    raise
                if self._has_landed:  # it had recovered from the break before
                    wait_s = FIRST_RETRY_S
                logger.warning("stream %s: %s Again in %.1f s.", self.stream.name, error, wait_s)
                self._report("waiting", error)
                stopping.wait(wait_s)
                wait_s = min(wait_s * 2, LAST_RETRY_S)

    def _follow(self, stopping: threading.Event, *, once: bool) -> None:
        """Follow until something breaks; every start asks the lake where it is.

        One batch is committed while the next is read, and no third is read before: so at most
        two are in memory, and a source that is faster than the lake is held up.
        """
        landing = StreamLanding(self._catalog, self._storage, self.stream.name, self._limits)
        source = self._connect()
        committing: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix=f"commit-{self.stream.name}") as committer:
            try:
                committed = landing.committed
                source.open(committed.position, committed.sequence)
                self._report("running", None)
                while not stopping.is_set():
                    batch = source.poll(time.monotonic() + self.stream.batch.max_seconds)
                    if committing is not None and (batch is not None or committing.done()):
                        committing.result()
                        committing = None
                    if batch is not None:
                        committing = committer.submit(self._commit, landing, source, batch)
                    elif committing is None:
                        landing.maintain()
                        if once and source.is_caught_up():
                            return
                if committing is not None:
                    committing.result()
            finally:
                if committing is not None:
                    wait((committing,))
                source.close()
                landing.close()

    def _commit(self, landing: StreamLanding, source: StreamSource, batch: Batch) -> None:
        started = time.monotonic()
        landing.land(batch)
        self._has_landed = True
        source.acknowledge(batch.position)
        self._observe(batch, landing, time.monotonic() - started)
        landing.maintain()
