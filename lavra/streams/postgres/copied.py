"""Reads a COPY in blocks, one of them ahead."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Iterator

import psycopg2
import psycopg2.extensions

BLOCK_BYTES = 8 * 1024 * 1024
_WAIT_S = 0.2


class CopiedBlocks:
    """The output of a COPY statement in blocks of whole rows, each with its number of rows.

    A thread reads from the server, two blocks ahead at most.

    Args:
        connection: That nobody else uses meanwhile.
        statement: The COPY, to standard output.
        block_bytes: Size of a block.
    """

    def __init__(
        self,
        connection: psycopg2.extensions.connection,
        statement: str,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._connection = connection
        self._block_bytes = block_bytes
        self._statement = statement
        self._blocks: queue.Queue[tuple[bytes, int] | Exception | None] = queue.Queue(maxsize=2)
        self._closing = threading.Event()
        self._buffer, self._count = io.BytesIO(), 0
        self._thread = threading.Thread(target=self._read, name="copy", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """Yield blocks.

        Raises:
            psycopg2.Error: the server refused the statement, or broke off.
        """
        while (block := self._blocks.get()) is not None:
            if isinstance(block, Exception):
                raise block
            yield block

    def close(self) -> None:
        """End it, if it is not at its end; the connection is of no use then."""
        self._closing.set()
        if self._thread.is_alive():
            self._connection.cancel()
        self._thread.join()

    def write(self, row: bytes) -> None:
        """Take a row from psycopg2."""
        self._count += 1
        if self._buffer.write(row) and self._buffer.tell() >= self._block_bytes:
            self._put_buffer()

    def _put_buffer(self) -> None:
        self._put((self._buffer.getvalue(), self._count))
        self._buffer, self._count = io.BytesIO(), 0

    def _put(self, block: tuple[bytes, int] | Exception | None) -> None:
        while True:
            if self._closing.is_set():
                raise _Closed
            try:
                return self._blocks.put(block, timeout=_WAIT_S)
            except queue.Full:
                continue

    def _read(self) -> None:
        try:
            try:
                with self._connection.cursor() as cursor:
                    cursor.copy_expert(self._statement, self)
                if self._count:
                    self._put_buffer()
                self._put(None)
            except psycopg2.Error as error:
                self._put(error)
        except _Closed:
            return


class _Closed(Exception):
    """Nobody wants the rest."""
