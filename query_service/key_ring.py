"""The API keys, as the catalog last told: a revocation is known within seconds."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lavra.access.caller import Caller
from lavra.access.keys import CHANNEL, KEY, ApiKey, digest, list_keys
from lavra.catalog.listener import CatalogListener
from lavra.errors import Unauthenticated

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog

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
        self._listener = CatalogListener(
            catalog, CHANNEL, self._read, poll_s=POLL_S, name="key-ring"
        )

    def start(self) -> None:
        """Read the keys and begin to follow them.

        Raises:
            CatalogError: the catalog cannot be read.
        """
        with self._catalog.connect() as connection:
            self._read(connection)
        self._listener.start()

    def stop(self) -> None:
        """End the thread; returns within about a poll."""
        self._listener.stop()

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

    def _read(self, connection: psycopg.Connection) -> None:
        self._keys = {key.id: key for key in list_keys(connection)}
