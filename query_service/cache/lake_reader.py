"""DuckDB as the loader uses it: kept between loads, with the lake attached where one needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from lavra.ducklake import LAKE, attach_lake, connect_duckdb
from query_service.cache.content import Contents

if TYPE_CHECKING:
    import duckdb

    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage


MOST_SCHEMAS = 1_000
"""Schemas of tables that are kept; a changed table is a new one."""


class LakeAt:
    """The lake as it was at a snapshot, for one load.

    Attributes:
        duck: DuckDB, which reads data files by their path.
        schemas: What is known of tables' schemas from earlier loads, by their columns.
        contents: The segments that are there, by what they hold.
    """

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        schemas: dict[str, pa.Schema],
        contents: Contents,
        attach: Callable[[], None],
    ) -> None:
        self.duck = duck
        self.schemas = schemas
        self.contents = contents
        self._attach = attach
        self.is_attached = False

    def attached(self) -> duckdb.DuckDBPyConnection:
        """Return DuckDB with the lake attached, which takes longer than a small refresh.

        Raises:
            CatalogError: the snapshot has expired, or the catalog refuses.
        """
        if not self.is_attached:
            self._attach()
            self.is_attached = True
        return self.duck


class LakeReader:
    """One DuckDB instance for many loads.

    Loading DuckDB's extensions takes longer than a small refresh, so the instance is kept. It is
    closed, and its memory freed, by :meth:`close`, and after any failure.

    Concurrency: one load at a time; others wait.
    """

    def __init__(self, catalog: Catalog, storage: LakeStorage) -> None:
        self._catalog = catalog
        self._storage = storage
        self._lock = threading.Lock()
        self._duck: duckdb.DuckDBPyConnection | None = None
        self._schemas: dict[str, pa.Schema] = {}
        self._contents = Contents()

    @contextmanager
    def at(self, snapshot_id: int) -> Iterator[LakeAt]:
        """Read the lake as it was at a snapshot, for the block."""
        with self._lock:
            try:
                if self._duck is None:
                    self._duck = self._connect()
                if len(self._schemas) > MOST_SCHEMAS:
                    self._schemas.clear()
                duck = self._duck
                lake = LakeAt(
                    duck,
                    self._schemas,
                    self._contents,
                    lambda: attach_lake(
                        duck, self._catalog, self._storage,
                        read_only=True, snapshot_version=snapshot_id,
                    ),
                )  # fmt: skip
                yield lake
                if lake.is_attached:
                    duck.execute(f"DETACH {LAKE}")
            except BaseException:
                self._end()
                raise

    def renew(self) -> None:
        """Free what a large load left, and be ready for the next one."""
        with self._lock:
            self._end()
            self._duck = self._connect()

    def close(self) -> None:
        """Free the instance; the next load makes another."""
        with self._lock:
            self._end()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        duck = connect_duckdb(self._storage)
        # Each file is read once: keeping its bytes would double the memory of a load.
        duck.execute("SET enable_external_file_cache = false")
        duck.execute("SET arrow_output_version = '1.4'; SET produce_arrow_string_view = true")
        return duck

    def _end(self) -> None:
        if self._duck is not None:
            self._duck.close()
            self._duck = None
