"""Hears of changes in the catalog, and looks again and again all the same."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from psycopg import sql

from lavra.errors import CatalogError

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog.catalog import Catalog

logger = logging.getLogger(__name__)


class CatalogListener:
    """A thread that reads something from the catalog whenever it may have changed.

    The catalog being away stops nothing: the thread tries again until it is back.

    Args:
        catalog: Where to listen.
        channel: Of Postgres's ``notify``.
        read: Called in the thread: at first, after each notification, and every ``poll_s``.
        poll_s: Seconds that a notification which is lost (a pooler, a failover) costs at most.
        name: Of the thread, and of what it follows in the log.
    """

    def __init__(
        self,
        catalog: Catalog,
        channel: str,
        read: Callable[[psycopg.Connection], None],
        *,
        poll_s: float,
        name: str,
    ) -> None:
        self._catalog = catalog
        self._channel = channel
        self._read = read
        self._poll_s = poll_s
        self._name = name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started; returns within about a poll."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._poll_s * 5)

    def _run(self) -> None:
        told = False
        while not self._stopping.is_set():
            try:
                self._listen()
                told = False
            except CatalogError as error:
                if not told:
                    logger.warning("%s cannot follow the catalog, trying again: %s",
                                   self._name, error)  # fmt: skip
                told = True
                self._stopping.wait(self._poll_s)

    def _listen(self) -> None:
        with self._catalog.connect(autocommit=True) as connection:
            connection.execute(sql.SQL("listen {}").format(sql.Identifier(self._channel)))
            while not self._stopping.is_set():
                self._read(connection)
                for _ in connection.notifies(timeout=self._poll_s, stop_after=1):
                    pass
