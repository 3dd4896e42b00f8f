"""PEP 249 cursors over an Arrow stream."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

from lavra_driver.exceptions import (
    DatabaseError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from lavra_driver.parameters import bind
from lavra_driver.transport import BodyReader
from lavra_driver.types import describe, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from lavra_driver.connection import Connection
    from lavra_driver.parameters import Parameters

Row = tuple[Any, ...]
Description = list[tuple[str, str, None, None, "int | None", "int | None", bool]]


class Cursor:
    """One query at a time, its rows read as they are asked for.

    Memory holds one record batch, whatever the size of the result. A result that breaks off
    midway raises; it never looks complete.

    Attributes:
        arraysize: How many rows :meth:`fetchmany` returns by default.
        query_id: The id of the last query, known before it is sent.
        snapshot_id: The release that the last query read.
        data_through: The earliest end of data over the tables that the last query read.
        cached: Whether the answer came from the service's result cache.
        truncated: Whether a row limit cut the result; None when the service did not say.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.query_id: str | None = None
        self.snapshot_id: str | None = None
        self.data_through: dt.datetime | None = None
        self.cached = False
        self.truncated: bool | None = None
        self._reserved_id: str | None = None
        self._closed = False
        self._reset()

    def _reset(self) -> None:
        self.rownumber: int | None = None
        self.rowcount = -1
        self.description: Description | None = None
        self._body: BodyReader | None = None
        self._reader: pa.RecordBatchReader | None = None
        self._rows: list[Row] = []
        self._at = 0

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *error: object) -> None:
        if not self._closed:
            self.close()

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def execute(self, sql: str, parameters: Parameters = None) -> Cursor:
        """Run one query; an earlier result of this cursor is dropped.

        Args:
            sql: One statement that reads.
            parameters: A list for ``?`` (or ``$1``), a dict for ``$name``.

        Raises:
            ProgrammingError: the SQL, a name in it or its parameters are wrong.
            NotSupportedError: the statement is not a read.
            OperationalError: the service cannot be reached or cannot run it now.
        """
        self._check_open()
        self._discard()
        self._reset()
        connection = self.connection
        transport = connection.transport
        text, values = bind(sql, parameters)
        self.query_id, self._reserved_id = self.reserve_query_id(), None
        body: dict[str, Any] = {"sql": text, "environment": connection.environment}
        if values is not None:
            body["parameters"] = values
        for name in ("row_limit", "snapshot", "timeout_s"):
            if getattr(connection, name) is not None:
                body[name] = getattr(connection, name)
        limit = connection.timeout_s
        try:
            response = transport.query(
                body, query_id=self.query_id, timeout_s=None if limit is None else limit + 5
            )
        except DatabaseError as error:
            error.query_id = error.query_id or self.query_id
            raise
        self._read_headers(response.headers)
        self._body = BodyReader(response)
        self._open_stream()
        return self

    def reserve_query_id(self) -> str:
        """Return the id that the next query will have, so that others can cancel it by then."""
        if self._reserved_id is None:
            self._reserved_id = str(uuid.uuid4())
        return self._reserved_id

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> Cursor:
        """Refuse: it is for writing, and the service only reads.

        Raises:
            NotSupportedError: always.
        """
        self._check_open()
        raise NotSupportedError(f"the service is read-only: {len(rows)} rows cannot be written")

    def fetchone(self) -> Row | None:
        """Return the next row, or None when there is none left."""
        self._check_result()
        while self._at >= len(self._rows):
            if not self._load_batch():
                return None
        row = self._rows[self._at]
        self._advance(1)
        return row

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """Return up to ``size`` rows (default ``arraysize``); an empty list at the end."""
        self._check_result()
        wanted = self.arraysize if size is None else size
        if wanted < 0:
            raise ProgrammingError("size must not be negative")
        rows: list[Row] = []
        while len(rows) < wanted:
            if self._at >= len(self._rows) and not self._load_batch():
                break
            taken = self._rows[self._at : self._at + wanted - len(rows)]
            rows += taken
            self._advance(len(taken))
        return rows

    def fetchall(self) -> list[Row]:
        """Return every row that is left."""
        self._check_result()
        rows = self._rows[self._at :]
        self._advance(len(rows))
        while self._load_batch():
            rows += self._rows
            self._advance(len(self._rows))
        return rows

    def fetch_arrow_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the result's record batches as they arrive, without making Python rows.

        Raises:
            InterfaceError: rows of this result were fetched already.
        """
        self._check_result()
        if self.rownumber:
            raise InterfaceError("rows of this result were fetched already")
        while self._reader is not None:
            batch = self._next_batch()
            if batch is None:
                return
            self.rownumber = (self.rownumber or 0) + batch.num_rows
            yield batch

    def fetch_arrow_table(self) -> pa.Table:
        """Return the whole result as an Arrow table, with its schema even when it is empty.

        Raises:
            InterfaceError: rows of this result were fetched already.
        """
        import pyarrow as pa

        self._check_result()
        return pa.Table.from_batches(list(self.fetch_arrow_batches()), schema=self._schema)

    def cancel(self) -> None:
        """Stop the running query; may be called by another thread, and when nothing runs."""
        query_id, body = self.query_id, self._body
        if query_id is not None and not (body is not None and body.closed):
            self.connection.transport.cancel(query_id)
        if body is not None:
            body.close()

    def close(self) -> None:
        """Close the cursor; an unfinished query is given up.

        Raises:
            InterfaceError: it is closed already, which PEP 249 counts as an error.
        """
        self._check_open()
        self._discard()
        self._closed = True

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Do nothing, as PEP 249 allows."""
        self._check_open()

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Do nothing, as PEP 249 allows."""
        self._check_open()

    def _read_headers(self, headers: Any) -> None:
        self.query_id = headers.get("X-Lavra-Query-Id") or self.query_id
        self.snapshot_id = headers.get("X-Lavra-Snapshot")
        self.cached = headers.get("X-Lavra-Cache") == "hit"
        through = headers.get("X-Lavra-Data-Through")
        self.data_through = _instant(through) if through else None
        truncated = headers.get("X-Lavra-Truncated")
        self.truncated = None if truncated is None else truncated == "true"

    def _open_stream(self) -> None:
        import pyarrow as pa

        body = self._body
        try:
            self._reader = pa.ipc.open_stream(pa.PythonFile(body, mode="r"))
        except (pa.ArrowException, OSError) as error:
            self._discard()
            raise InternalError(
                f"the answer is not an Arrow stream that pyarrow {pa.__version__} reads: {error}",
                query_id=self.query_id,
            ) from error
        self._schema = self._reader.schema
        # PEP 249: a statement that answers no columns has no description.
        self.description = [describe(field) for field in self._schema] or None
        self.rownumber = 0

    def _load_batch(self) -> bool:
        """Replace the consumed rows by the next batch that has any; False at the end."""
        while (batch := self._next_batch()) is not None:
            if batch.num_rows:
                self._rows, self._at = rows_of(batch), 0
                return True
        self._rows, self._at = [], 0
        return False

    def _next_batch(self) -> pa.RecordBatch | None:
        import pyarrow as pa

        reader, body = self._reader, self._body
        if reader is None or body is None:
            return None
        try:
            return reader.read_next_batch()
        except StopIteration:
            pass
        except (pa.ArrowException, OSError) as error:
            self._discard()
            raise OperationalError(
                f"the result broke off: {error}", query_id=self.query_id
            ) from error
        except OperationalError as error:
            error.query_id = self.query_id
            self._discard()
            raise
        self._reader = None
        if body.is_complete:
            body.finish()
        if not body.closed:
            body.close()
            raise OperationalError(
                "the result broke off before its end", query_id=self.query_id, retryable=True
            )
        self.rowcount = self.rownumber or 0
        return None

    def _advance(self, count: int) -> None:
        self._at += count
        self.rownumber = (self.rownumber or 0) + count

    def _discard(self) -> None:
        self._reader = None
        self._rows, self._at = [], 0
        if self._body is not None:
            self._body.close()
            self._body = None

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        if self.connection.closed:
            raise InterfaceError("the connection is closed")

    def _check_result(self) -> None:
        self._check_open()
        if self.description is None:
            raise ProgrammingError("nothing was executed on this cursor")


def _instant(text: str) -> dt.datetime | None:
    try:
        # Python 3.10's own parser does not know the Z.
        return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
