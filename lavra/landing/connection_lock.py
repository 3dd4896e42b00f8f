"""The lock of one connection: whoever lands it, enters its files or tidies them, does so alone."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lavra.catalog.locks import advisory_lock, held_since

if TYPE_CHECKING:
    from lavra.catalog import Catalog

_LOCK_CLASS = 0x1A57A << 36


@contextmanager
def connection_lock(
    catalog: Catalog,
    connection: str,
    *,
    timeout_s: float | None = None,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Hold a connection's lock for the block; it is freed by the holder's death.

    Args:
        catalog: Where the lock lives.
        connection: Name of the connection.
        timeout_s: Give up after this many seconds; None waits for ever.
        on_wait: Called once, before the first wait.

    Raises:
        CatalogError: the time is up.
    """
    with advisory_lock(catalog, _key(connection), timeout_s=timeout_s, on_wait=on_wait):
        yield


def is_held(catalog: Catalog, connection: str) -> bool:
    """Whether somebody holds a connection's lock right now."""
    with catalog.connect() as database:
        return held_since(database, _key(connection)) is not None


def _key(connection: str) -> int:
    return _LOCK_CLASS | zlib.crc32(connection.encode())
