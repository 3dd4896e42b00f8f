"""A Postgres source of changes: it loads what is not loaded yet, and then follows the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from lavra.errors import ConfigurationError, SourceError
from lavra.libpq import with_keepalive
from lavra.streams.postgres import server
from lavra.streams.postgres.follow import Follower
from lavra.streams.postgres.gathered import Gathered
from lavra.streams.postgres.load import (
    SnapshotReader,
    connection_options,
    empty_rows,
    load_rows,
    marker_row,
    open_snapshot,
)
from lavra.streams.postgres.position import FOLLOWED, LOADING, PENDING, PostgresPosition, TableState
from lavra.streams.source import Batch, Lag, Position, TableChanges

if TYPE_CHECKING:
    from lavra.streams.declarations import StreamDeclaration

logger = logging.getLogger(__name__)


class PostgresStreamSource:
    """Follows the tables of one database; see :class:`lavra.streams.source.StreamSource`.

    Args:
        declaration: What is followed.
        conninfo: Of the database, by a user who may replicate and owns the tables.
        lake: The lake's name, part of the names of publication and slot.
    """

    def __init__(self, declaration: StreamDeclaration, conninfo: str, lake: str) -> None:
        self._declaration = declaration
        self._conninfo = with_keepalive(conninfo)
        self.name = server.publication_name(lake, declaration.name)
        self._options = connection_options(self._conninfo)
        self._follower: Follower | None = None
        self._loading: Iterator[Batch] | None = None
        self._position = PostgresPosition("")
        self._sequence = self._target = 0

    def open(self, position: Position | None, sequence: int) -> None:
        """Check the tables, make publication and slot, and connect."""
        self._sequence = sequence
        known = PostgresPosition.parse(position) if position else None
        with server.connect(self._conninfo) as connection:
            identity = server.identity(connection)
            self._target = server.log_end(connection)
            problems = []
            for table in self._declaration.tables:
                try:
                    server.inspect_table(connection, table)
                except ConfigurationError as error:
                    problems.append(error)
            if problems:  # before anything is published
                raise ConfigurationError(
                    " ".join(error.message for error in problems), remedy=problems[0].remedy
                )
            server.ensure_publication(connection, self.name, self._declaration.tables)
            slot = server.read_slot(connection, self.name)
            limit = self._declaration.slot.wal_limit_mb * 1024 * 1024
            reason = _reason_to_begin_anew(known, identity, slot, limit)
            if reason is None and known is not None:
                self._position = known
            else:
                if known is not None or slot is not None:
                    logger.warning("stream %s begins anew: %s", self._declaration.name, reason)
                server.drop_slot(connection, self.name)
                lsn = server.create_slot(connection, self.name)
                before = known.tables if known else {}
                self._position = PostgresPosition(
                    identity,
                    lsn,
                    tables={name: replace(state, state=PENDING) for name, state in before.items()},
                )
        tables = {
            name: self._position.tables.get(name, TableState()) for name in self._declaration.tables
        }
        self._position = replace(self._position, tables=tables)
        self._loading = self._load() if self._unloaded() else None
        self._follower = Follower(
            self._declaration, self._conninfo, self._options, self.name, self._position.lsn
        )

    def poll(self, deadline: float) -> Batch | None:
        """Return the next rows of a load, or what the log holds until ``deadline``."""
        if self._follower is None:
            raise SourceError("The stream's source is not open.")
        if self._loading is None and self._unloaded():
            self._loading = self._load()
        if self._loading is not None:
            batch = next(self._loading, None)
            if batch is not None:
                return batch
            self._loading = None
        batch, self._position, self._sequence = self._follower.read(
            deadline, self._position, self._sequence
        )
        return batch

    def acknowledge(self, position: Position) -> None:
        """Let the server forget what is committed."""
        if self._follower is not None:
            self._follower.confirm(PostgresPosition.parse(position).lsn)

    def is_caught_up(self) -> bool:
        """Ask the server for its place, and compare it with where it was at the start."""
        return (
            self._loading is None
            and not self._unloaded()
            and (self._follower is not None and self._follower.has_passed(self._target))
        )

    def lag(self) -> Lag:
        """Ask the server how far we are."""
        with server.connect(self._conninfo) as connection:
            slot = server.read_slot(connection, self.name)
        if slot is None:
            return Lag(0, 0)
        per_event = self._follower.bytes_per_event if self._follower else None
        events = round(slot.behind_bytes / per_event) if per_event else None
        return Lag(slot.behind_bytes, slot.retained_bytes, events)

    def forget(self) -> None:
        """Drop the slot, ending whoever reads it."""
        with server.connect(self._conninfo) as connection:
            server.drop_slot(connection, self.name)

    def close(self) -> None:
        """Disconnect."""
        if self._loading is not None:
            self._loading.close()  # type: ignore[attr-defined]  # a generator: ends its snapshot
            self._loading = None
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def _unloaded(self) -> list[str]:
        return [n for n, table in self._position.tables.items() if table.state != FOLLOWED]

    def _load(self) -> Iterator[Batch]:
        """Load every table that is not loaded, all from one snapshot.

        A load that was interrupted has lost its snapshot: its rows go, and the table is read
        again. Tables that were complete stay as they are.
        """
        names = self._unloaded()
        snapshot = open_snapshot(self._conninfo, self._options, names)
        try:
            gathered, landed = Gathered(), self._position
            for name in names:
                logger.info("stream %s loads %s", self._declaration.name, name)
                with closing(self._load_table(snapshot, name, gathered)) as parts:
                    for _ in parts:
                        if gathered.bytes >= self._declaration.batch.max_bytes:
                            landed = self._position
                            yield gathered.take(landed, self._sequence)
            if self._position != landed:
                yield gathered.take(self._position, self._sequence)
        finally:
            snapshot.close()

    def _load_table(
        self, snapshot: SnapshotReader, name: str, gathered: Gathered
    ) -> Generator[None]:
        """Read a table into what is gathered; yields where a commit may come in between."""
        landing = self._declaration.landing_table(name)
        before = self._position.tables[name]
        table = snapshot.inspect(name)
        marker = before.marker if before.state == LOADING else 0
        if before.loads and not marker:
            self._sequence += 1  # the number of the row that will end what came before
            marker = self._sequence
        generation = before.generation + 1
        self._position = self._position.with_table(
            name,
            state=LOADING,
            generation=generation,
            marker=marker,
            columns={n: [c.number, c.kind] for n, c in table.columns.items()},
        )
        if before.state == LOADING:
            gathered.discard(landing, before.generation)
        schema_name = name.split(".", maxsplit=1)[0]
        changes = TableChanges(schema_name, landing, table.key, empty_rows(table))
        gathered.add(changes)  # so that a table without rows lands too
        read_us = time.time_ns() // 1000
        block_bytes = self._declaration.batch.max_bytes
        for block in snapshot.read(name, tuple(table.columns), block_bytes):
            rows, quarantined = load_rows(
                block, landing, generation=generation, lsn=snapshot.lsn, read_us=read_us,
                sequence=self._sequence,
            )  # fmt: skip
            self._sequence += block[0].num_rows
            gathered.add(replace(changes, rows=rows), quarantined)
            yield
        self._position = self._position.with_table(
            name, state=FOLLOWED, loaded_lsn=snapshot.lsn, marker=0, loads=before.loads + 1
        )
        if marker:
            row = marker_row(generation, snapshot.lsn, read_us, marker)
            gathered.add(replace(changes, rows=row))
        yield


def _reason_to_begin_anew(
    known: PostgresPosition | None, identity: str, slot: server.Slot | None, limit: int
) -> str | None:
    """Return why the tables must be loaded again, or None to go on where we were."""
    if known is None:
        return "the lake knows no position of it"
    if slot is None:
        return "its replication slot is gone"
    # A slot that is ahead of us is no reason: psycopg2 confirms on its own what the server says
    # holds nothing of ours, once all before it is confirmed.
    reasons = {
        "the source is another server or database, or was promoted": known.identity != identity,
        "the server gave up the log that its slot needed": slot.is_lost,
        "its slot kept more log than slot.wal_limit_mb allows": slot.retained_bytes > limit,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
