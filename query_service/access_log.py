"""The access log on its way: written before an answer ends, shipped to the catalog behind.

An entry is one ``write`` to a local file, so a kill of the process loses none: what the kernel has
taken is there for the next start. A thread ships closed files to the catalog and deletes each after
its commit; what is shipped twice, because a kill came in between, is kept once. A loss of the
machine itself may lose the last second. Where standard output is the record (Cloud Run), each entry
is one line there, and the platform keeps it.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lavra.access.log import (
    REFUSED,
    Entry,
    delete_before,
    encode_entry,
    encode_line,
    entry_values,
    insert_lines,
)
from lavra.errors import (
    CatalogError,
    CatalogUnavailable,
    Forbidden,
    LavraError,
    StatementNotAllowed,
    TooManyQueries,
    Unauthenticated,
)

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from query_service.queries import QueryRecord

logger = logging.getLogger("query_service")

SHIP_S = 1.0
RETENTION_S = 6 * 3600.0
MOST_SQL = 20_000
"""Longer texts are cut in the log; their digest is that of the whole."""

REFUSALS = {kind.code for kind in (Forbidden, StatementNotAllowed, TooManyQueries, Unauthenticated)}
SUFFIX = ".jsonl"
STDOUT = 1


class AccessLog:
    """Takes entries from the event loop and keeps them.

    Args:
        settings: Say where to, for how long, and how much of the SQL.
        catalog: Holds the record.
        folder: Of the local files; default below the state directory.
    """

    def __init__(self, settings: Settings, catalog: Catalog, folder: Path | None = None) -> None:
        self._catalog = catalog
        self._with_text = settings.access_log_sql == "text"
        self._retention = timedelta(days=settings.access_log_retention_days)
        self._folder = folder or settings.state / "service" / "access-log"
        self._to_stdout = settings.access_log == "stdout"
        self._file: IO[bytes] | None = None
        self._size = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._pruned_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)

    def start(self) -> None:
        """Begin to ship, what an earlier process left included."""
        if not self._to_stdout:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._thread.start()

    def stop(self) -> None:
        """Ship what is left and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def add(self, entry: Entry) -> None:
        """Write an entry; it is safe from a kill of this process when this returns.

        Raises:
            LavraError: it cannot be written, so what it tells of must not happen.
        """
        try:
            if self._to_stdout:
                _write(STDOUT, _for_cloud_logging(entry_values(entry)))
                return
            data = encode_entry(entry) + b"\n"
            with self._lock:
                file = self._file or self._open()
                try:
                    _write(file.fileno(), data)
                except OSError:
                    self._close()  # so that only the last line of a file may be cut short
                    raise
                self._size += len(data)
        except OSError as error:
            logger.error("the access log cannot be written: %s", error.strerror)  # noqa: TRY400
            raise LavraError(
                "The access log cannot be written, so nothing is answered.",
                remedy="The service's disk may be full.",
            ) from error

    def add_query(self, record: QueryRecord, outcome: str) -> None:
        """Write what became of a query."""
        caller = record.caller
        self.add(
            Entry(
                event="query",
                outcome=REFUSED if record.error in REFUSALS else outcome,
                code=record.error,
                query_id=record.query_id,
                caller=caller.name,
                kind=caller.kind,
                key_id=caller.key_id,
                client=record.client,
                environment=record.environment,
                snapshot=record.snapshot,
                tables=list(record.tables) or None,
                columns=list(record.columns) or None,
                row_count=record.row_count,
                bytes=record.bytes_out,
                duration_ms=round((time.monotonic() - record.began) * 1000, 3),
                cached=record.cached,
                format=record.encoding,
                sql=_storable(record.sql[:MOST_SQL]) if self._with_text else None,
                sql_sha256=_digest(record.sql),
                at=record.began_at,
            )
        )

    def ship(self) -> None:
        """Bring everything written so far to the catalog.

        Raises:
            CatalogError: it is away; the files stay.
        """
        with self._lock:
            if self._size:
                self._close()
            current = self._file.name if self._file else None
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if str(path) != current:
                self._ship_file(path)

    def _open(self) -> IO[bytes]:
        """Begin a file; its lock tells other processes that somebody still writes to it."""
        name = f"{time.time_ns()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}"
        file = (self._folder / name).open("ab", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        self._file, self._size = file, 0
        return file

    def _close(self) -> None:
        if self._file:
            self._file.close()
        self._file, self._size = None, 0

    def _ship_file(self, path: Path) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return  # another process shipped it
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another process writes to it
            *lines, _ = file.read().split(b"\n")  # what follows the last end was cut by a kill
            try:
                with self._catalog.connect() as connection:
                    insert_lines(connection, lines)
            except CatalogUnavailable:
                raise
            except CatalogError as error:
                logger.error("entries of the access log are refused, %s: %s", path, error)  # noqa: TRY400
                path.rename(path.with_suffix(".refused"))
                return
            path.unlink(missing_ok=True)

    def _run(self) -> None:
        told = False
        while True:
            last = self._stopping.wait(SHIP_S)
            try:
                self.ship()
                self._prune()
                told = False
            except CatalogError as error:
                if not told:
                    logger.warning("the access log waits on disk for the catalog: %s", error)
                told = True
            if last:
                return

    def _prune(self) -> None:
        if time.monotonic() - self._pruned_at < RETENTION_S:
            return
        with self._catalog.connect() as connection:
            deleted = delete_before(connection, datetime.now(UTC) - self._retention)
        self._pruned_at = time.monotonic()
        if deleted:
            logger.info("%d entries of the access log were older than retention", deleted)


def _for_cloud_logging(shown: dict[str, Any]) -> bytes:
    """Return a line of structured logging, as Cloud Run hands it to Cloud Logging."""
    text = " ".join(str(shown[name]) for name in ("event", "outcome", "caller") if name in shown)
    line = {
        "severity": "WARNING" if shown["outcome"] == REFUSED else "INFO",
        "message": f"access: {text}",
        "timestamp": shown["at"],
        "logging.googleapis.com/labels": {"lavra": "access"},
        "access": shown,
    }
    return encode_line(line) + b"\n"


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode("utf-8", "replace")).hexdigest()


def _storable(text: str) -> str:
    """Return what Postgres can hold of a text: no NUL, no half of a pair."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # a pipe, or a disk that filled: the next call says which
        written += os.write(descriptor, data[written:])
