"""The API keys, as the catalog last told: a revocation is known within seconds."""

from __future__ import annotations

import hmac
import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from psycopg import sql

from lavra.access.caller import Caller
from lavra.access.keys import CHANNEL, KEY, ApiKey, digest, list_keys
from lavra.errors import CatalogError, Unauthenticated

if TYPE_CHECKING:
    from lavra.catalog import Catalog

logger = logging.getLogger("query_service")

POLL_S = 2.0
"""A notification that is lost (a pooler, a failover) costs at most this much delay."""

_NOBODY = bytes(32)


class KeyRing:
    """Knows every key; a thread keeps it current.

    The catalog being away stops nothing: keys go on as they were last known, and expire on time.

    Args:
        catalog: Holds the keys.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._keys: dict[str, ApiKey] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-ring", daemon=True)

    def start(self) -> None:
        """Read the keys and begin to follow them.

        Raises:
            CatalogError: the catalog cannot be read.
        """
        with self._catalog.connect() as connection:
            self._keys = {key.id: key for key in list_keys(connection)}
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns within about a poll."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=POLL_S * 5)

    def check(self, shown: str) -> Caller:
        """Return whose key this is.

        The time that this takes tells nothing of the secret, nor whether the id exists.

        Raises:
            Unauthenticated: it is none, or no longer.
        """
        parts = KEY.fullmatch(shown)
        if parts is None:
            raise Unauthenticated("That is no API key.")
        key = self._keys.get(parts[1])
        same = hmac.compare_digest(digest(parts[2]), key.secret_hash if key else _NOBODY)
        if key is None or not same:
            raise Unauthenticated("The API key is not known.")
        state = key.state(datetime.now(UTC))
        if state != "active":  # told only to who has the whole key
            raise Unauthenticated(
                f"The API key {key.id} is {state}.",
                remedy="Ask for a new one (`lavra keys rotate` or `create`).",
            )
        return Caller(key.name, "key", key.roles, {}, key.id, key.environments)

    def _run(self) -> None:
        told = False
        while not self._stopping.is_set():
            try:
                self._listen()
                told = False
            except CatalogError as error:
                if not told:
                    logger.warning("cannot follow the API keys, trying again: %s", error)
                told = True
                self._stopping.wait(POLL_S)

    def _listen(self) -> None:
        with self._catalog.connect(autocommit=True) as connection:
            connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
            while not self._stopping.is_set():
                self._keys = {key.id: key for key in list_keys(connection)}
                for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                    pass
