"""DuckDB as the loader uses it: kept between loads, with the lake attached for each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lavra.ducklake import LAKE, attach_lake, connect_duckdb

if TYPE_CHECKING:
    import duckdb

    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage


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

    @contextmanager
    def at(self, snapshot_id: int) -> Iterator[duckdb.DuckDBPyConnection]:
        """Attach the lake as it was at a snapshot, for the block.

        Raises:
            CatalogError: the snapshot has expired, or the catalog refuses.
        """
        with self._lock:
            try:
                if self._duck is None:
                    self._duck = self._connect()
                attach_lake(
                    self._duck, self._catalog, self._storage,
                    read_only=True, snapshot_version=snapshot_id,
                )  # fmt: skip
                yield self._duck
                self._duck.execute(f"DETACH {LAKE}")
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
