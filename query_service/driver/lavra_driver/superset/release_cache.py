"""Superset's cache of tiles, keyed by release: never older than the lake, never shared.

Superset's own key knows neither the release nor the caller's rights, and keeps words such as
"Last quarter" where the answer depends on the day. So to each key this adds the tag that the
service gives its answers to this caller (it changes with the release and with what the caller
may see), and the moments that words about time mean now. The tag is asked for before the query
runs: an answer is kept for the release that was current then, or never found again.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask_caching.backends.filesystemcache import FileSystemCache

import lavra_driver

if TYPE_CHECKING:
    from flask import Flask

MOST_ROWS = 10_000
"""Larger answers are left to the service's cache."""

_ENGINE = "lavra"
_KEYED = "lavra-release-"
_VOLATILE = re.compile(
    r"\b(current_date|current_time|current_timestamp|explain|localtime|localtimestamp|now|rand|"
    r"random|today|uuid|uuidv7)\b",
    re.IGNORECASE,
)
logger = logging.getLogger(__name__)


class ReleaseCache(FileSystemCache):
    """Keeps tiles in files, under keys of :func:`key_by_release` only; ``CACHE_TYPE`` names it."""

    def get(self, key: str) -> Any:
        """Return a kept tile, or None."""
        return super().get(key) if key.startswith(_KEYED) else None

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> bool | None:
        """Keep a tile, unless it is large or may change while the release does not."""
        if not key.startswith(_KEYED) or not isinstance(value, dict) or "df" not in value:
            return False
        if len(value["df"]) > MOST_ROWS or _VOLATILE.search(value.get("query") or ""):
            return False
        kept: bool | None = super().set(key, value, *args, **kwargs)
        return kept


def key_by_release(_app: Flask) -> None:
    """Teach Superset the keys; its ``FLASK_APP_MUTATOR``, called when all of it is loaded."""
    from superset.common.query_context_processor import (  # noqa: PLC0415 - not loaded before
        QueryContextProcessor,
    )

    original = QueryContextProcessor.query_cache_key

    def query_cache_key(self: Any, query_obj: Any, **kwargs: Any) -> str | None:
        release = _release(self._qc_datasource, query_obj)
        key = original(self, query_obj, **kwargs, lavra_release=release)
        return f"{_KEYED}{key}" if key else None

    QueryContextProcessor.query_cache_key = query_cache_key


def _release(datasource: Any, query: Any) -> list[str]:
    """Return what a tile depends on beside its query; something unique where that is unknown."""
    database = getattr(datasource, "database", None)
    if query is None or database is None or database.db_engine_spec.engine != _ENGINE:
        return [uuid4().hex]
    try:
        with database.get_raw_connection() as connection:
            tag = connection.answer_tag()
    except lavra_driver.Error as error:
        # The query itself will say what is wrong.
        logger.info("a tile is not kept: %s", error)
        return [uuid4().hex]
    return [tag, *_moments(query)]


def _moments(query: Any) -> list[str]:
    """Return what the query's words about time mean now."""
    from superset.common.utils.time_range_utils import (  # noqa: PLC0415 - not loaded before
        get_since_until_from_time_range,
    )

    ranges = [query.time_range] + [
        item.get("val") for item in query.filter or () if item.get("op") == "TEMPORAL_RANGE"
    ]
    return [
        f"{get_since_until_from_time_range(time_range=words, extras=query.extras)}"
        for words in ranges
        if isinstance(words, str)
    ]
