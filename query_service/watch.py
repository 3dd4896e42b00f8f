"""Notices releases: hears of them from the catalog, and looks every second all the same."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from psycopg import sql

from lavra.errors import CatalogError
from query_service.releases import CHANNEL, current_release_ids

if TYPE_CHECKING:
    from lavra.catalog import Catalog

logger = logging.getLogger("query_service")

POLL_S = 1.0
"""A notification that is lost (a pooler, a failover) costs at most this much delay."""


class ReleaseWatcher:
    """A thread that calls ``on_change`` with the current release ids when they may have changed.

    The catalog being away stops nothing: the thread tries again until it is back.
    """

    def __init__(self, catalog: Catalog, on_change: Callable[[dict[str, int]], None]) -> None:
        self._catalog = catalog
        self._on_change = on_change
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="release-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns within about a poll."""
        self._stopping.set()
        self._thread.join(timeout=POLL_S * 5)

    def _run(self) -> None:
        told = False
        while not self._stopping.is_set():
            try:
                self._listen()
                told = False
            except CatalogError as error:
                if not told:
                    logger.warning("cannot watch for releases, trying again: %s", error)
                told = True
                self._stopping.wait(POLL_S)

    def _listen(self) -> None:
        with self._catalog.connect(autocommit=True) as connection:
            connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
            while not self._stopping.is_set():
                self._on_change(current_release_ids(connection))
                for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                    pass
