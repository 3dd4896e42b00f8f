"""The initial load: tables read by COPY on a snapshot whose place in the log is known.

A temporary slot is made for its snapshot alone: the server says which transactions it holds
(all that committed before ``consistent_point``), and the stream leaves those out for the tables
loaded from it. The stream's own slot is older, so nothing in between is missed. Postgres's own
subscriptions load a table the same way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import psycopg2
import psycopg2.extras
import pyarrow as pa

from lavra.errors import SourceError
from lavra.landing.connections import Stream
from lavra.landing.postgres_source import PostgresReader
from lavra.streams.postgres import server
from lavra.streams.postgres.server import parameters_of
from lavra.streams.source import SOURCE_META, Quarantined

if TYPE_CHECKING:
    from lavra.landing.reading import Batch as ReadBatch


class SnapshotReader:
    """A snapshot of the source with its place in the log; tables are read from it one by one."""

    def __init__(self, conninfo: str, options: dict[str, Any]) -> None:
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
        for setting in ("timezone = 'UTC'", "datestyle = 'ISO, YMD'", "extra_float_digits = 1",
                        "bytea_output = 'hex'", "intervalstyle = 'postgres'"):  # fmt: skip
            self._connection.execute(f"set local {setting}")
        replication.close()  # the snapshot is ours now; a slot that nobody reads keeps log

    def inspect(self, table: str) -> server.SourceTable:
        """Return a table's key and columns as the snapshot has them."""
        return server.inspect_table(self._connection, table)

    def read(self, table: str, columns: tuple[str, ...]) -> Iterator[ReadBatch]:
        """Yield a table's rows in blocks of a few megabytes.

        Raises:
            SourceError: the server breaks off.
        """
        schema, name = table.split(".")
        stream = Stream(name=name, namespace=schema, selected_fields=columns)
        try:
            with PostgresReader(self._connection, (schema,)).read(stream, None) as found:
                yield from found.batches
        except psycopg.Error as error:
            raise SourceError(
                f"Loading {table} broke off: {str(error).strip().splitlines()[0]}"
            ) from error

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
    numbers = pa.array(range(sequence + 1, sequence + 1 + rows.num_rows), pa.int64())
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
