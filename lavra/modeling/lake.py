"""The lake that SQLMesh works on in this process.

SQLMesh builds its objects from a configuration file and keeps the names of macros and signals,
not their arguments, in its state. What those need at run time (settings, catalog, storage) is
therefore found here, set by :func:`lavra.modeling.config.project_config`.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from lavra.catalog import Catalog, open_catalog
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.errors import ConfigurationError
from lavra.modeling.stream_points import last_sequence
from lavra.storage import LakeStorage, open_storage

if TYPE_CHECKING:
    import duckdb

    from lavra.settings import Settings

COMMIT_TRIES = 200


class Lake:
    """One lake as the modeling layer sees it; nothing is opened before it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opening = threading.Lock()
        self._stream_points: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Lake({str(self.settings.project)!r})"

    @cached_property
    def storage(self) -> LakeStorage:
        """The lake's files."""
        return open_storage(self.settings)

    @property
    def catalog(self) -> Catalog:
        """The catalog, started if it is our own; it stops with the last process that uses it."""
        with self._opening:
            return self._catalog

    @cached_property
    def _catalog(self) -> Catalog:
        return open_catalog(self.settings)

    def stream_point(self, stream: str) -> int:
        """Return up to which change the run that is under way reads a stream; 0 before any.

        It is looked up once and holds until :meth:`forget_stream_points`, so that tables which
        are made one after the other agree, while the stream goes on landing.
        """
        if stream not in self._stream_points:
            with self.connect() as connection:
                self._stream_points[stream] = last_sequence(connection, stream)
        return self._stream_points[stream]

    def forget_stream_points(self) -> None:
        """Let the next run read what has landed by then."""
        self._stream_points.clear()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a DuckDB connection with the lake attached."""
        connection = connect_duckdb(self.storage)
        attach_lake(connection, self.catalog, self.storage)
        # A stream commits every second, and a large commit that comes second begins again: ten
        # times was not always enough. Growing waits would only give the stream more chances.
        connection.execute(f"SET GLOBAL ducklake_max_retry_count = {COMMIT_TRIES}")
        connection.execute("SET GLOBAL ducklake_retry_backoff = 1")
        return connection


_active: Lake | None = None


def activate(settings: Settings) -> Lake:
    """Make the lake of these settings the one that macros and hooks of this process work on."""
    global _active  # noqa: PLW0603 - one SQLMesh project per process, as SQLMesh itself assumes
    if _active is None or _active.settings != settings:
        _active = Lake(settings)
    return _active


def active_lake() -> Lake:
    """Return the lake made active last.

    Raises:
        ConfigurationError: no project's configuration was loaded in this process.
    """
    if _active is None:
        raise ConfigurationError(
            "No lake is active in this process.",
            remedy="Build the SQLMesh configuration with lavra.modeling.project_config.",
        )
    return _active
