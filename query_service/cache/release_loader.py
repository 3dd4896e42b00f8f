"""Loads releases for a running service: small changes in a thread, large ones aside.

A thread that reads and writes segments takes the interpreter's lock from the front, which answers
queries. So a load of more than :data:`LARGE_READ_BYTES` is done by a process of its own, of lower
priority, once there is a release whose queries it could disturb. It ends with its load, which frees
its memory; it ends with the service too, however that ends, since it watches its standard input.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lavra.errors import LavraError, ProcessError
from query_service.cache.cold import ColdRule, Footers
from query_service.cache.lake_files import TableFiles, list_table_files
from query_service.cache.lake_reader import LakeReader
from query_service.cache.loader import LoadReport, load_release
from query_service.cache.release_file import CachedTable
from query_service.lean_process import lean_command
from query_service.releases import Release, read_release

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage

LARGE_READ_BYTES = 32 * 1024 * 1024
"""Bytes of data files from which on a load is done aside, and after which DuckDB is renewed."""

NICENESS = 10

_COMMAND = lean_command(__name__)

_SIZE = struct.Struct("<Q")


@dataclass(frozen=True)
class _Order:
    catalog: Catalog
    storage: LakeStorage
    release: Release
    folder: Path
    cold: ColdRule
    held: list[CachedTable]


class ReleaseLoader:
    """Loads releases into one folder; one at a time.

    Args:
        catalog: Where releases and their files are listed.
        storage: The lake's files.
        folder: Where segments and manifests are kept.
        cold: Which tables are scanned where they lie.
    """

    def __init__(
        self, catalog: Catalog, storage: LakeStorage, folder: Path, cold: ColdRule
    ) -> None:
        self._catalog = catalog
        self._storage = storage
        self._folder = folder
        self._cold = cold
        self._footers = Footers(storage)
        self._reader = LakeReader(catalog, storage)
        self._read_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None

    def load(
        self, release_id: int, loaded: Sequence[LoadReport]
    ) -> tuple[Release, LoadReport] | None:
        """Load a release; None if there is none of that id.

        Args:
            release_id: Which.
            loaded: What is loaded already; if anything is, a large load is done aside.

        Raises:
            CatalogError: the snapshot has expired, or a table is not in it.
            StorageError: a data file cannot be read, or a segment cannot be written.
            ProcessError: the process of a large load was killed.
        """
        with self._catalog.connect() as connection:
            release = read_release(connection, release_id)
            if release is None:
                return None
            files = list_table_files(connection, release) if release.tables else {}
        held = [table for report in loaded for table in report.cached]
        known = frozenset[str]().union(*(report.sources for report in loaded))
        if loaded and _new_bytes(files, known) > LARGE_READ_BYTES:
            order = _Order(self._catalog, self._storage, release, self._folder, self._cold, held)
            return release, self._load_aside(order)
        report = load_release(
            self._catalog, self._storage, release, self._folder, files=files,
            cold=self._cold, footers=self._footers, reader=self._reader, held=held,
        )  # fmt: skip
        self._read_bytes += report.bytes_read
        return release, report

    def free(self) -> None:
        """Free what large loads left in this process."""
        if self._read_bytes > LARGE_READ_BYTES:
            self._reader.renew()
        self._read_bytes = 0

    def close(self) -> None:
        """End a load that runs aside, and free everything."""
        process = self._process
        if process is not None:
            process.kill()
        self._reader.close()

    def _load_aside(self, order: _Order) -> LoadReport:
        message = pickle.dumps(order)
        with subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            self._process = process
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            try:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(_SIZE.pack(len(message)) + message)
                    process.stdin.flush()  # it stays open: its end is our end
                answer = process.stdout.read()
            except BaseException:
                process.kill()
                raise
            finally:
                self._process = None
        if not answer:
            raise ProcessError(
                f"The process that loads release {order.release.id} ended "
                f"(status {process.returncode}).",
                remedy="Its own message is in the log; -9 is often a lack of memory.",
            )
        result: LoadReport | LavraError = pickle.loads(answer)  # noqa: S301 - our own child's
        if isinstance(result, LavraError):
            raise result
        return result


def _new_bytes(files: dict[str, TableFiles], known: frozenset[str]) -> int:
    return sum(table.bytes_besides(known) for table in files.values())


def main() -> None:
    """Load the release that standard input describes; standard output is the pickled report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group
    os.nice(NICENESS)
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed goes to the log
    (size,) = _SIZE.unpack(sys.stdin.buffer.read(_SIZE.size))
    order: _Order = pickle.loads(sys.stdin.buffer.read(size))  # noqa: S301 - our own parent's
    threading.Thread(target=_end_with_parent, daemon=True).start()
    result: Any
    try:
        result = load_release(
            order.catalog, order.storage, order.release, order.folder,
            cold=order.cold, held=order.held,
        )  # fmt: skip
    except LavraError as error:
        result = error
    with answer:
        pickle.dump(result, answer)


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing more is ever sent
    os._exit(1)
