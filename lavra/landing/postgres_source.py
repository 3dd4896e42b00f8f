"""A Postgres source: full reads and incremental reads by cursor, through COPY.

All streams of a run are read in one REPEATABLE READ transaction, so they agree with each other:
no order item without its order. Rows travel as CSV (the fastest text that Arrow parses) in blocks
of a few megabytes; one thread receives while another parses and compresses.

An incremental read takes the rows whose cursor is not below the last one minus the stream's
``cursor_lag``: ties and transactions that committed late are read again. What was landed before
is recognised by key and cursor and left out, so each version of a row lands once. A deleted row
is not noticed, nor one whose cursor is null or did not move: that takes change data capture.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from psycopg import sql

from lavra.errors import ConfigurationError, SourceError
from lavra.landing import types
from lavra.landing.bronze_writer import Change
from lavra.landing.coerce import Coercer
from lavra.landing.connections import Stream
from lavra.landing.postgres_types import columns_of
from lavra.landing.reading import Batch, StreamRead
from lavra.landing.types import LandedType
from lavra.libpq import with_keepalive

BLOCK_BYTES = 8 * 1024 * 1024
REMEMBERED_ROWS = 100_000
"""Rows within the cursor's lag that are recognised; past that, they may land a second time."""

_CURSOR_TYPES = {types.INTEGER, types.DATE, types.TIMESTAMP, types.TIMESTAMP_TZ, types.DECIMAL,
                 types.STRING, types.NUMBER}  # fmt: skip
_TIMESTAMPS = {types.TIMESTAMP, types.TIMESTAMP_TZ}


@contextmanager
def open_postgres(
    conninfo: str, schemas: tuple[str, ...] = ("public",)
) -> Iterator[PostgresReader]:
    """Connect for one run.

    Raises:
        SourceError: the server cannot be reached or breaks off.
    """
    try:
        with psycopg.connect(with_keepalive(conninfo), connect_timeout=15) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute("set local timezone = 'UTC'")
            connection.execute("set local datestyle = 'ISO, YMD'")
            connection.execute("set local extra_float_digits = 1")
            connection.execute("set local bytea_output = 'hex'")
            yield PostgresReader(connection, schemas)
            connection.rollback()
    except psycopg.OperationalError as error:
        raise SourceError(
            f"The Postgres source cannot be read: {_first_line(error)}",
            remedy="Check the connection's config, and that the server accepts connections.",
        ) from error


class PostgresReader:
    """A Postgres source at one moment; build it with :func:`open_postgres`."""

    def __init__(self, connection: psycopg.Connection, schemas: tuple[str, ...]) -> None:
        self._connection = connection
        self._schemas = schemas

    @contextmanager
    def read(self, stream: Stream, state: dict[str, Any] | None) -> Iterator[StreamRead]:
        """Begin to read a table; see :class:`lavra.landing.reading.SourceReader`."""
        # A savepoint: a stream that fails must not abort the snapshot of the others.
        try:
            with (
                self._connection.transaction(),
                ThreadPoolExecutor(1, thread_name_prefix="parse") as parser,
            ):
                yield self._planned(stream, state, parser)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise SourceError(f"Reading {stream.name} failed: {_first_line(error)}") from error

    def _planned(
        self, stream: Stream, state: dict[str, Any] | None, parser: ThreadPoolExecutor
    ) -> StreamRead:
        schema = stream.namespace or self._schemas[0]
        columns = columns_of(self._connection, schema, stream)
        kinds = {column.name: column.kind for column in columns}
        cursor = _Cursor(stream, kinds, state) if stream.is_incremental else None
        table = sql.Identifier(schema, stream.name)
        where: sql.Composable = sql.SQL("")
        read = StreamRead(kinds, iter(()))
        if cursor:
            cursor.plan(self._connection, table)
            where = cursor.condition()
            read.next_state = cursor.state
        query = sql.SQL("copy (select {} from {}{}) to stdout (format csv)").format(
            sql.SQL(", ").join(column.expression() for column in columns), table, where
        )
        read.batches = self._batches(query, kinds, cursor, parser)
        return read

    def _batches(
        self,
        query: sql.Composed,
        kinds: dict[str, LandedType],
        cursor: _Cursor | None,
        parser: ThreadPoolExecutor,
    ) -> Iterator[Batch]:
        with Coercer(kinds) as coerce:
            waiting: Future[Batch] | None = None
            for block, count in self._blocks(query):
                parsed = parser.submit(parse_block, block, count, kinds, coerce)
                if waiting:
                    yield _kept(waiting.result(), cursor)
                waiting = parsed
            if waiting:
                yield _kept(waiting.result(), cursor)

    def _blocks(self, query: sql.Composed) -> Iterator[tuple[bytes, int]]:
        """Yield blocks of whole rows, and how many rows each holds."""
        with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            # Rows come one by one; to gather them in a buffer costs half of what a list does.
            buffer, count = io.BytesIO(), 0
            write = buffer.write
            for row in copy:
                count += 1
                if write(row) and buffer.tell() >= BLOCK_BYTES:
                    yield buffer.getvalue(), count
                    buffer, count = io.BytesIO(), 0
                    write = buffer.write
            if count:
                yield buffer.getvalue(), count


class _Cursor:
    """Where an incremental read starts, and which rows of it have landed before.

    The state is ``{"cursor_field", "cursor", "from", "rows"}``: the newest cursor seen, the value
    from which the next read starts (``cursor_lag`` before it), and digests of the rows landed
    from there on.
    """

    def __init__(
        self, stream: Stream, kinds: dict[str, LandedType], state: dict[str, Any] | None
    ) -> None:
        self.field = stream.cursor_field or ""
        for name in (self.field, *stream.primary_key):
            if name not in kinds:
                raise ConfigurationError(
                    f"Stream {stream.name} reads by {name}, which is not among its columns.",
                    remedy=f"Its columns are {', '.join(kinds)}.",
                )
        self._kind = kinds[self.field]
        if self._kind.name not in _CURSOR_TYPES:
            raise ConfigurationError(
                f"Stream {stream.name}: a {self._kind} cannot be a cursor.",
                remedy="Use a column of timestamps, dates or rising numbers.",
            )
        # Without a key a row is known by all of its values.
        self._identity = list(dict.fromkeys((*(stream.primary_key or kinds), self.field)))
        self._lag = stream.cursor_lag if self._kind.name in _TIMESTAMPS else None
        before = state if state and state.get("cursor_field") == self.field else {}
        self._start: str | None = before.get("from")
        self._known = frozenset(before.get("rows", ()))
        self.state: dict[str, Any] = before | {"cursor_field": self.field}

    def plan(self, connection: psycopg.Connection, table: sql.Identifier) -> None:
        """Fix the upper end of this read, and with it the next state."""
        newest = sql.SQL("max({})").format(sql.Identifier(self.field))
        oldest = newest
        if self._lag is not None:
            # A row from the future must not hide the rows of the meantime.
            # (Not least(): it passes over a null, and so would call an empty table read.)
            now = sql.SQL("transaction_timestamp()")
            newest = sql.SQL("case when {0} > {1} then {1} else {0} end").format(newest, now)
            oldest = sql.SQL("({}) - {}").format(newest, sql.Literal(self._lag))
        zone = sql.SQL("::timestamp" if self._kind.name == types.TIMESTAMP else "")
        row = connection.execute(
            sql.SQL("select ({}){}::text, ({}){}::text from {}").format(
                newest, zone, oldest, zone, table
            )
        ).fetchone()
        if row and row[0] is not None:  # else no row has a cursor, and the next run asks again
            self.state |= {"cursor": row[0], "from": row[1], "rows": []}

    def condition(self) -> sql.Composable:
        """Return the WHERE clause of the read."""
        if self._start is None:
            return sql.SQL("")
        return sql.SQL(" where {} >= {}").format(
            sql.Identifier(self.field), sql.Literal(self._start)
        )

    def keep(self, batch: Batch) -> Batch:
        """Leave out the rows that landed before; remember those that the next read meets."""
        table, changes = batch
        if self.state.get("from") is None or table.num_rows == 0:
            return batch
        values = table.column(self.field)
        low = pa.scalar(self.state["from"]).cast(values.type)
        ahead = pc.fill_null(pc.greater_equal(values, low), False)
        looked_at = pa.chunked_array([[True] * table.num_rows]) if self._known else ahead
        places = pc.indices_nonzero(looked_at)
        rows = table.select(self._identity).take(places).to_pylist()
        met_again = ahead.take(places).to_pylist()
        landed: list[int] = []
        for place, row, again in zip(places.to_pylist(), rows, met_again, strict=True):
            digest = hashlib.blake2b(repr(row).encode(), digest_size=12).hexdigest()
            if again and len(self.state["rows"]) < REMEMBERED_ROWS:
                self.state["rows"].append(digest)
            if digest in self._known:
                landed.append(place)
        return _without(table, changes, landed) if landed else batch


def _kept(batch: Batch, cursor: _Cursor | None) -> Batch:
    return cursor.keep(batch) if cursor else batch


def _without(table: pa.Table, changes: dict[int, list[Change]], left_out: list[int]) -> Batch:
    out = set(left_out)
    kept = [place for place in range(table.num_rows) if place not in out]
    moved = {new: changes[old] for new, old in enumerate(kept) if old in changes}
    return table.take(pa.array(kept, pa.int64())), moved


def parse_block(block: bytes, count: int, kinds: dict[str, LandedType], coerce: Coercer) -> Batch:
    """Return rows of a COPY in CSV as typed columns, and the values that did not fit.

    Args:
        block: Whole rows.
        count: How many.
        kinds: The type of each column, in order.
        coerce: Of the same columns; used when a value has no place in its type.
    """
    names = list(kinds)
    has_newlines = block.count(b"\n") != count  # a value holds a line end
    direct = {
        name: pa.string() if kind.name == types.BINARY else kind.arrow
        for name, kind in kinds.items()
    }
    try:
        table = _read_block(block, has_newlines, direct)
    except pa.ArrowInvalid:
        # Some value has no place in its type (infinity, a year before Christ, NaN): find it.
        text = _read_block(
            block.decode("utf-8", "replace").encode(),
            has_newlines,
            dict.fromkeys(names, pa.string()),
        )
        return coerce(text)
    for place, (name, kind) in enumerate(kinds.items()):
        if kind.name == types.BINARY:
            table = table.set_column(place, name, _from_hex(table.column(name)))
    return table, {}


def _read_block(block: bytes, has_newlines: bool, columns: dict[str, pa.DataType]) -> pa.Table:
    return pacsv.read_csv(
        io.BytesIO(block),
        read_options=pacsv.ReadOptions(
            column_names=list(columns), block_size=max(len(block) + 1, 1 << 20)
        ),
        parse_options=pacsv.ParseOptions(
            newlines_in_values=has_newlines, ignore_empty_lines=len(columns) > 1
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=columns,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _from_hex(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [None if value is None else bytes.fromhex(value[2:]) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.binary())])


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
