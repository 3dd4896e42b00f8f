"""Notices releases: hears of them from the catalog, and looks every second all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lavra.catalog.listener import CatalogListener
from query_service.releases import CHANNEL, current_release_ids

if TYPE_CHECKING:
    from lavra.catalog import Catalog

POLL_S = 1.0


def release_watcher(
    catalog: Catalog, on_change: Callable[[dict[str, int]], None]
) -> CatalogListener:
    """Return a thread that tells the current release ids when they may have changed."""
    return CatalogListener(
        catalog,
        CHANNEL,
        lambda connection: on_change(current_release_ids(connection)),
        poll_s=POLL_S,
        name="release-watcher",
    )
