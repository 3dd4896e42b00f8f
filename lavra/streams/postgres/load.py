"""The initial load: tables read by COPY on a snapshot whose place in the log is known.

A temporary slot is made for its snapshot alone: the server says which transactions it holds
(all that committed before ``consistent_point``), and the stream leaves those out for the tables
loaded from it. The stream's own slot is older, so nothing in between is missed. Postgres's own
subscriptions load a table the same way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import psycopg2
import psycopg2.extras
import pyarrow as pa

from lavra.errors import ConfigurationError, SourceError
from lavra.landing.coerce import Coercer
from lavra.landing.connections import Stream
from lavra.landing.postgres_source import parse_block
from lavra.landing.postgres_types import columns_of
from lavra.landing.types import parse_type
from lavra.streams.postgres import server
from lavra.streams.postgres.copied import BLOCK_BYTES, CopiedBlocks
from lavra.streams.postgres.server import parameters_of
from lavra.streams.source import SOURCE_META, Quarantined

if TYPE_CHECKING:
    from lavra.landing.reading import Batch as ReadBatch


_ATTEMPTS = 50


def open_snapshot(conninfo: str, options: dict[str, Any], tables: Sequence[str]) -> SnapshotReader:
    """Return a snapshot in which these tables can be read.

    A table that is rewritten or emptied after a snapshot was taken reads as empty in it, and one
    whose columns changed cannot be read by them. So the tables are locked (against that, not
    against writes), and if one has changed in between there is another snapshot. To lock first
    could block for ever: a slot waits for the transactions that run, and those for the lock.

    Raises:
        SourceError: the server breaks off, or somebody changes the tables all the time.
    """
    for _ in range(_ATTEMPTS):
        snapshot = SnapshotReader(conninfo, options)
        try:
            if snapshot.hold(tables):
                return snapshot
        except BaseException:
            snapshot.close()
            raise
        snapshot.close()
        time.sleep(0.1)
    raise SourceError(f"{', '.join(tables)} change their columns too often to be loaded.")


class SnapshotReader:
    """A snapshot of the source with its place in the log; tables are read from it one by one."""

    def __init__(self, conninfo: str, options: dict[str, Any]) -> None:
        self._conninfo = conninfo
        self._stack = ExitStack()
        try:
            self._open(conninfo, options)
        except (psycopg.Error, psycopg2.Error) as error:
            self.close()
            raise SourceError(
                f"The source's snapshot failed: {str(error).strip().splitlines()[0]}"
            ) from error
        except BaseException:
            self.close()
            raise

    def _open(self, conninfo: str, options: dict[str, Any]) -> None:
        replication = psycopg2.connect(
            **options, connection_factory=psycopg2.extras.LogicalReplicationConnection
        )
        self._stack.callback(replication.close)
        cursor = replication.cursor()
        name = f"lavra_load_{os.getpid()}_{id(self):x}"[:63]
        cursor.execute(f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT")
        _, point, snapshot, _ = cursor.fetchone()
        self.lsn = server.lsn(point)
        """All transactions that committed before this position are in the snapshot."""
        self._connection = psycopg.connect(conninfo, connect_timeout=15)
        self._stack.callback(self._connection.close)
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        self._connection.execute(psycopg.sql.SQL("set transaction snapshot {}").format(snapshot))
        # psycopg2 copies to a file from C: half the work of a loop over rows.
        self._reading = psycopg2.connect(**options)
        self._stack.callback(self._reading.close)
        self._reading.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with self._reading.cursor() as reading:
            reading.execute("set transaction snapshot %s", (snapshot,))
        replication.close()  # the snapshot is ours now; a slot that nobody reads keeps log

    def hold(self, tables: Sequence[str]) -> bool:
        """Lock tables against changes of their definition; return whether none came before."""
        try:
            for table in tables:
                name = psycopg.sql.Identifier(*table.split("."))
                self._connection.execute(
                    psycopg.sql.SQL("lock table {} in access share mode").format(name)
                )
            with server.connect(self._conninfo) as now:
                return all(
                    server.definition(self._connection, table) == server.definition(now, table)
                    for table in tables
                )
        except psycopg.errors.UndefinedTable as error:
            raise ConfigurationError(
                f"A table of the stream is gone: {str(error).splitlines()[0]}.",
                remedy="Correct the stream's `tables`.",
            ) from error
        except psycopg.Error as error:
            raise SourceError(
                f"The source's tables cannot be locked: {str(error).splitlines()[0]}"
            ) from error

    def inspect(self, table: str) -> server.SourceTable:
        """Return a table's key and columns as the snapshot has them."""
        return server.inspect_table(self._connection, table)

    def read(
        self, table: str, columns: tuple[str, ...], most_bytes: int = BLOCK_BYTES
    ) -> Iterator[ReadBatch]:
        """Yield a table's rows in blocks of a few megabytes; the next one is read meanwhile.

        Args:
            table: ``schema.table``.
            columns: Those wanted.
            most_bytes: Size of a block, if it is to be smaller than :data:`BLOCK_BYTES`.

        Raises:
            SourceError: the server breaks off.
        """
        schema, name = table.split(".")
        wanted = Stream(name=name, namespace=schema, selected_fields=columns)
        found = columns_of(self._connection, schema, wanted)
        query = (
            psycopg.sql.SQL("copy (select {} from {}) to stdout (format csv)")
            .format(
                psycopg.sql.SQL(", ").join(column.expression() for column in found),
                psycopg.sql.Identifier(schema, name),
            )
            .as_string(self._connection)
        )
        blocks = CopiedBlocks(self._reading, query, min(most_bytes, BLOCK_BYTES))
        try:
            with Coercer({column.name: column.kind for column in found}) as coerce:
                kinds = {column.name: column.kind for column in found}
                for block, count in blocks:
                    yield parse_block(block, count, kinds, coerce)
        except psycopg2.Error as error:
            raise SourceError(
                f"Loading {table} broke off: {str(error).strip().splitlines()[0]}"
            ) from error
        finally:
            blocks.close()

    def close(self) -> None:
        """Give the snapshot up."""
        self._stack.close()


def connection_options(conninfo: str) -> dict[str, Any]:
    """Return what psycopg2 connects with, for replication."""
    return parameters_of(psycopg.conninfo.conninfo_to_dict(conninfo))


def load_rows(
    block: ReadBatch, table: str, *, generation: int, lsn: int, read_us: int, sequence: int
) -> tuple[pa.RecordBatch, list[Quarantined]]:
    """Return a block with the columns of a stream's rows, and what does not fit.

    Args:
        block: From :meth:`SnapshotReader.read`.
        table: Its name in the landing schema.
        generation: Of the load.
        lsn: The snapshot's place in the log.
        read_us: When it was read, in microseconds of the epoch.
        sequence: The last number given out.
    """
    rows, changes = block
    numbers = pa.array(np.arange(sequence + 1, sequence + 1 + rows.num_rows, dtype=np.int64))
    meta = [
        pa.repeat(pa.scalar(generation, pa.int64()), rows.num_rows),
        pa.repeat(pa.scalar(lsn, pa.int64()), rows.num_rows),
        pa.repeat(pa.scalar(read_us, pa.int64()), rows.num_rows).cast(SOURCE_META.field(2).type),
        pa.nulls(rows.num_rows, SOURCE_META.field(3).type),
        numbers,
    ]
    combined = rows.combine_chunks()
    arrays = [
        column.chunk(0) if column.num_chunks else pa.array([], column.type)
        for column in combined.columns
    ]
    batch = pa.RecordBatch.from_arrays(
        [*arrays, *meta], names=rows.column_names + SOURCE_META.names
    )
    if not changes:
        return batch, []
    quarantined = [
        Quarantined(
            table,
            sequence + 1 + row,
            f"does not fit: {', '.join(change.field for change in each)}",
            {
                name: None if value is None else str(value)
                for name, value in rows.slice(row, 1).to_pylist()[0].items()
            },
        )
        for row, each in sorted(changes.items())
    ]
    kept = pa.array([row for row in range(rows.num_rows) if row not in changes], pa.int64())
    return batch.take(kept), quarantined


def empty_rows(table: server.SourceTable) -> pa.RecordBatch:
    """Return no rows, with the columns of a stream's rows."""
    fields = [pa.field(name, parse_type(c.kind).arrow) for name, c in table.columns.items()]
    schema = pa.schema([*fields, *SOURCE_META])
    return pa.RecordBatch.from_pylist([], schema)


def marker_row(generation: int, lsn: int, at_us: int, sequence: int) -> pa.RecordBatch:
    """Return the row that ends what came before a load: a delete without a key."""
    values = (generation, lsn, at_us, at_us, sequence)
    arrays = [
        pa.array([value], pa.int64()).cast(field.type)
        for value, field in zip(values, SOURCE_META, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SOURCE_META)
