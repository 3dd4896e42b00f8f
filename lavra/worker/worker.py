"""`lavra worker`: what recurs. Each part of it is active in one process of a lake at a time."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from lavra.catalog.locks import advisory_lock
from lavra.errors import CatalogError, CatalogUnavailable, LavraError
from lavra.worker.crashes import keep_working

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog

logger = logging.getLogger(__name__)

LOCK_CHECK_S = 2.0
_LOCK_WAIT_S = 1.0


class WorkerPart(Protocol):
    """Something that recurs.

    Attributes:
        name: As ``--only`` has it.
        lock: Of the catalog; held while it runs.
        follows: Whether with ``once`` it waits for those that do not.
    """

    name: str
    lock: int
    follows: bool

    def run(self, stopping: threading.Event, *, once: bool) -> None:
        """Work until ``stopping`` is set, or with ``once`` until nothing is left to do.

        Raises:
            LavraError: with ``once``, what failed; otherwise what no repetition can mend.
        """


class Worker:
    """Runs parts, each in a thread, while it holds the part's lock.

    Args:
        catalog: Of the lake.
        parts: What this process does.
        on_crash: Told of a part that an error nobody foresaw has ended, before it begins again.
    """

    def __init__(
        self,
        catalog: Catalog,
        parts: Sequence[WorkerPart],
        on_crash: Callable[[str], None] | None = None,
    ) -> None:
        self._catalog, self._parts = catalog, parts
        self._on_crash = on_crash
        self._failures: list[LavraError] = []
        self.stopping = threading.Event()

    def run(self, *, once: bool = False, on_wait: Callable[[str], None] | None = None) -> None:
        """Work until :attr:`stopping` is set, or with ``once`` until nothing is left to do.

        Args:
            once: Land and follow what is there, then run the models that depend on it, and end.
            on_wait: Called with the name of a part that another worker does.

        Raises:
            LavraError: the first failure of a part that gave up, once all have ended.
        """
        self._failures.clear()
        if once:
            for follows in (False, True):
                self._run_all([p for p in self._parts if p.follows is follows], on_wait, once=True)
        else:
            self._run_all(self._parts, on_wait, once=False)
        if self._failures:
            raise self._failures[0]

    def _run_all(
        self, parts: Sequence[WorkerPart], on_wait: Callable[[str], None] | None, *, once: bool
    ) -> None:
        threads = [
            threading.Thread(
                target=self._run_part, args=(part, on_wait), kwargs={"once": once}, name=part.name
            )
            for part in parts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run_part(
        self, part: WorkerPart, on_wait: Callable[[str], None] | None, *, once: bool
    ) -> None:
        def keep() -> None:
            self._keep(part, on_wait, once=once)

        try:
            keep_working(part.name, keep, self.stopping, self._crashed, once=once)
        except LavraError as error:
            self._failures.append(error)

    def _crashed(self, name: str, _error: LavraError) -> None:
        if self._on_crash:
            self._on_crash(name)

    def _keep(self, part: WorkerPart, on_wait: Callable[[str], None] | None, *, once: bool) -> None:
        """Run a part whenever its lock is to be had."""
        told = False
        while not self.stopping.is_set():
            try:
                with advisory_lock(self._catalog, part.lock, timeout_s=_LOCK_WAIT_S) as connection:
                    self._work(part, connection, once=once)
                    return
            except CatalogUnavailable as error:
                if once:
                    self._failures.append(error)
                    return
                logger.warning("%s: the lock is lost; trying again: %s", part.name, error)
                self.stopping.wait(1.0)
            except CatalogError:
                if not told and on_wait:
                    on_wait(part.name)
                told = True

    def _work(self, part: WorkerPart, connection: psycopg.Connection, *, once: bool) -> None:
        losing = threading.Event()

        def work() -> None:
            try:
                keep_working(
                    part.name, lambda: part.run(losing, once=once), losing, self._crashed, once=once
                )
            except LavraError as error:
                logger.error("%s: %s", part.name, error)  # noqa: TRY400 - its words suffice
                self._failures.append(error)

        thread = threading.Thread(target=work, name=f"{part.name}-work")
        thread.start()
        try:
            while thread.is_alive():
                if self.stopping.wait(0.1 if once else LOCK_CHECK_S):
                    break
                connection.execute("select 1")  # fails when the lock is lost
        finally:
            losing.set()
            thread.join()


@contextmanager
def stopping_on_signals(worker: Worker) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end the worker after what cannot be interrupted."""

    def stop(number: int, _frame: object) -> None:
        logger.info("signal %d: stopping (pid %d)", number, os.getpid())
        worker.stopping.set()

    before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
