"""`lavra worker`: what recurs. One worker of a lake is active at a time."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from lavra.catalog.locks import WORKER_LOCK, advisory_lock
from lavra.errors import CatalogUnavailable, LavraError
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.runner import StreamRunner
from lavra.streams.sources import open_source
from lavra.streams.telemetry import StreamTelemetry

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from lavra.storage import LakeStorage

logger = logging.getLogger(__name__)

LOCK_CHECK_S = 2.0


class Worker:
    """Runs the streams, each in a thread, while it holds the lake's worker lock.

    Args:
        settings: Of the lake.
        catalog: Its catalog.
        storage: Its files.
        streams: What is followed.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        storage: LakeStorage,
        streams: Sequence[StreamDeclaration],
    ) -> None:
        self._settings, self._catalog, self._storage = settings, catalog, storage
        self._streams = streams
        self.stopping = threading.Event()

    def run(self, *, once: bool = False, on_wait: Callable[[], None] | None = None) -> None:
        """Work until :attr:`stopping` is set, or with ``once`` until nothing is new.

        Raises:
            LavraError: with ``once``, the first failure; otherwise a stream that cannot be
                followed as declared, once all have ended.
        """
        while not self.stopping.is_set():
            try:
                with advisory_lock(self._catalog, WORKER_LOCK, on_wait=on_wait) as connection:
                    self._work(connection, once=once)
                    return
            except CatalogUnavailable as error:
                if once:
                    raise
                logger.warning("the worker's lock is lost; trying again: %s", error)
                self.stopping.wait(1.0)

    def _work(self, connection: psycopg.Connection, *, once: bool) -> None:
        losing = threading.Event()
        failures: list[LavraError] = []
        threads = [
            threading.Thread(
                target=self._follow, args=(stream, losing, failures), kwargs={"once": once},
                name=f"stream-{stream.name}",
            )
            for stream in self._streams
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                if self.stopping.wait(LOCK_CHECK_S if not once else 0.1):
                    break
                connection.execute("select 1")  # fails when the lock is lost
        finally:
            losing.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def _follow(
        self,
        stream: StreamDeclaration,
        stopping: threading.Event,
        failures: list[LavraError],
        *,
        once: bool,
    ) -> None:
        telemetry = StreamTelemetry(self._catalog, stream)
        runner = StreamRunner(
            self._catalog, self._storage, stream, lambda: open_source(self._settings, stream),
            observe=telemetry.observe, report=telemetry.report,
        )  # fmt: skip
        try:
            runner.run(stopping, once=once)
            telemetry.report("stopped", None)
        except LavraError as error:
            logger.error("stream %s: %s", stream.name, error)  # noqa: TRY400 - its words suffice
            telemetry.report("failed", error)
            failures.append(error)


@contextmanager
def stopping_on_signals(worker: Worker) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end the worker after the batches that are under way."""

    def stop(number: int, _frame: object) -> None:
        logger.info("signal %d: stopping (pid %d)", number, os.getpid())
        worker.stopping.set()

    before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
