"""Follows the log: messages of the replication connection become batches of columns."""

from __future__ import annotations

import logging
import select
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.errors
import psycopg2.extras

from lavra.errors import SourceError
from lavra.streams.postgres import server
from lavra.streams.postgres.changed_columns import reason_to_load
from lavra.streams.postgres.collected import Collected, Followed
from lavra.streams.postgres.columns import ROW_AT, Column, TableBuffer
from lavra.streams.postgres.pgoutput import (
    Relation,
    parse_begin,
    parse_commit,
    parse_relation,
    parse_truncate,
    parse_tuple,
)
from lavra.streams.postgres.position import FOLLOWED, PENDING, PostgresPosition
from lavra.streams.source import Batch, Quarantined, TableChanges

if TYPE_CHECKING:
    from lavra.streams.declarations import StreamDeclaration

logger = logging.getLogger(__name__)

FEEDBACK_S = 5.0
"""Between two signs of life: far below any sensible wal_sender_timeout (60 s by default)."""

_BURST = 1000
_IDLE_BYTES, _IDLE_S = 1024 * 1024, 30.0
"""An idle stream moves its position when others have written so much, or after so long."""

_BEGIN, _COMMIT, _RELATION, _INSERT, _UPDATE, _DELETE, _TRUNCATE = b"BCRIUDT"
_NEW = ord("N")


class Follower:
    """One replication connection. A thread of its own tells the server that we live."""

    def __init__(
        self,
        declaration: StreamDeclaration,
        conninfo: str,
        options: dict[str, Any],
        slot: str,
        start_lsn: int,
    ) -> None:
        self._declaration = declaration
        self._conninfo = conninfo
        self._types = server.TypeNames(conninfo)
        self._relations: dict[int, Relation] = {}
        self._followed: dict[int, Followed] = {}
        self._final_lsn = 0  # of the transaction that is being read; 0 between two
        self._commit_us = 0
        self._in_transaction = self._landed_changes = 0
        self._confirmed = start_lsn
        self._moved_at = time.monotonic()
        self._bytes = self._events = 0
        self._using = threading.Lock()
        self._closing = threading.Event()
        try:
            self._connection = psycopg2.connect(
                **options, connection_factory=psycopg2.extras.LogicalReplicationConnection
            )
            self._cursor = self._connection.cursor()
            self._cursor.start_replication(
                slot_name=slot, start_lsn=start_lsn, decode=False, status_interval=FEEDBACK_S,
                options={"proto_version": "1", "publication_names": f'"{slot}"'},
            )  # fmt: skip
        except psycopg2.Error as error:
            raise _failed(error) from error
        self._thread = threading.Thread(target=self._keep_alive, name=f"{slot}-alive", daemon=True)
        self._thread.start()

    @property
    def bytes_per_event(self) -> float | None:
        """Mean size of a change on the wire, or None before the first."""
        return self._bytes / self._events if self._events else None

    def confirm(self, lsn: int) -> None:
        """Tell the server that all up to ``lsn`` is durable here."""
        with self._using:
            self._confirmed = max(self._confirmed, lsn)
            self._feedback()

    def has_passed(self, lsn: int) -> bool:
        """Whether all transactions up to ``lsn`` were read; asks the server where it is."""
        if self._final_lsn:
            return False
        with self._using:
            if self._cursor.wal_end >= lsn:
                return True
            self._feedback(reply=True)
        return False

    def close(self) -> None:
        """Disconnect."""
        self._closing.set()
        with self._using:
            self._connection.close()
        self._thread.join(timeout=FEEDBACK_S)

    def read(
        self, deadline: float, position: PostgresPosition, sequence: int
    ) -> tuple[Batch | None, PostgresPosition, int]:
        """Return what arrives until ``deadline``, the position after it, and the last number.

        A batch ends with a transaction, unless that is larger than a batch may be.
        """
        collected = Collected(position, sequence)
        limits = self._declaration.batch
        while True:
            full = collected.rows >= limits.max_rows or collected.bytes >= limits.max_bytes
            between = not self._final_lsn
            if full or (between and time.monotonic() >= deadline) or collected.must_end:
                break
            if not self._read_burst(collected, limits.max_rows, limits.max_bytes):
                self._wait(deadline if between else time.monotonic() + 1.0)
        return self._finish(collected)

    def _read_burst(self, collected: Collected, max_rows: int, max_bytes: int) -> bool:
        """Read messages that are there; return whether there were any.

        The loop is short for what comes most: an insert, or an update without the row before,
        of a table whose buffer is known.
        """
        read, buffers = self._cursor.read_message, collected.by_relation
        with self._using:
            for count in range(_BURST):
                try:
                    message = read()
                except psycopg2.Error as error:
                    raise _failed(error) from error
                if message is None:
                    return count > 0
                data = message.payload
                kind = data[0]
                collected.bytes += len(data)
                if kind == _INSERT or (kind == _UPDATE and data[5] == _NEW):
                    self._in_transaction += 1
                    if self._in_transaction > self._landed_changes:
                        buffer = buffers.get(data[1:5]) or self._buffer(data[1:5], collected)
                        if buffer is not None:
                            sequence = collected.count_row(self._commit_us)
                            buffer.add(data, message.data_start, self._commit_us, sequence)
                else:
                    self._handle(kind, data, message.data_start, collected)
                if collected.must_end or collected.rows >= max_rows or collected.bytes >= max_bytes:
                    break
        return True

    def _wait(self, until: float) -> None:
        seconds = min(max(until - time.monotonic(), 0.0), 1.0)
        try:
            select.select([self._connection], [], [], seconds)
        except (OSError, ValueError, psycopg2.Error) as error:
            raise _failed(error) from error

    def _handle(self, kind: int, data: bytes, lsn: int, collected: Collected) -> None:
        if kind == _BEGIN:
            self._final_lsn, self._commit_us = parse_begin(data)
            self._in_transaction = 0
            position = collected.before
            is_partial = self._final_lsn == position.partial_lsn
            self._landed_changes = position.partial_skip if is_partial else 0
        elif kind == _COMMIT:
            collected.end_lsn = parse_commit(data).end_lsn
            self._final_lsn = 0
            collected.must_end = collected.wants_load
        elif kind in {_UPDATE, _DELETE}:
            self._in_transaction += 1
            if self._in_transaction > self._landed_changes:
                self._change(kind, data, lsn, collected)
        elif kind == _RELATION:
            relation = parse_relation(data)
            self._relations[relation.relation_id] = relation
            self._followed.pop(relation.relation_id, None)
            collected.by_relation.pop(data[1:5], None)
        elif kind == _TRUNCATE:
            self._in_transaction += 1
            if self._in_transaction > self._landed_changes:
                for relation_id in parse_truncate(data).relation_ids:
                    buffer = self._buffer(relation_id.to_bytes(4, "big"), collected)
                    if buffer is not None:
                        sequence = collected.count_row(self._commit_us)
                        buffer.add_empty(lsn, self._commit_us, sequence)

    def _change(self, kind: int, data: bytes, lsn: int, collected: Collected) -> None:
        """Take a delete, or an update with the row, or the key, before."""
        buffer = self._buffer(data[1:5], collected)
        if buffer is None:
            return
        at_us = self._commit_us
        if kind == _DELETE:
            buffer.add_delete(data, lsn, at_us, collected.count_row(at_us))
            return
        old, at = parse_tuple(data, ROW_AT)
        new, _ = parse_tuple(data, at + 1)
        if [old[i] for i in buffer.key_places] != [new[i] for i in buffer.key_places]:
            # The message starts like a delete of the row before.
            buffer.add_delete(data[:at], lsn, at_us, collected.count_row(at_us))
        buffer.add_update(new, old, lsn, at_us, collected.count_row(at_us))

    def _buffer(self, relation: bytes, collected: Collected) -> TableBuffer | None:
        """Return where a table's changes go in this batch, or None to leave them out."""
        known = collected.by_relation.get(relation)
        if known is not None:
            return known
        followed = self._table(int.from_bytes(relation, "big"), collected)
        if followed is None:
            return None
        buffer = collected.buffers.get(followed)
        if buffer is None:
            buffer = TableBuffer(
                followed.namespace, followed.landing, followed.columns, followed.key,
                followed.generation,
            )  # fmt: skip
            collected.buffers[followed] = buffer
        collected.by_relation[relation] = buffer
        return buffer

    def _table(self, relation_id: int, collected: Collected) -> Followed | None:
        """Return what to do with a table's changes, or None to leave them out."""
        relation = self._relations[relation_id]
        name = f"{relation.namespace}.{relation.name}"
        state = collected.position.tables.get(name)
        if state is None or state.state != FOLLOWED:
            return None
        if self._final_lsn < state.loaded_lsn:
            return None  # the load's snapshot holds it
        followed = self._followed.get(relation_id)
        if followed is None or followed.generation != state.generation:
            followed = self._follow(relation, name, collected)
            if followed is not None:
                self._followed[relation_id] = followed
        return followed

    def _follow(self, relation: Relation, name: str, collected: Collected) -> Followed | None:
        """Compare a table's definition with what we know; have it loaded anew if need be."""
        columns, announced = [], {}
        for column in relation.columns:
            kind, elements = self._types.kind(column)
            columns.append(Column(column.name, kind, elements))
            announced[column.name] = str(kind)
        state = collected.position.tables[name]
        known = {column: kind for column, (_, kind) in state.columns.items()}
        with server.connect(self._conninfo) as connection:
            now = server.columns_now(connection, relation.relation_id)
        numbers_moved = any(
            now[column].number != number
            for column, (number, _) in state.columns.items()
            if column in announced and column in now
        )
        if announced != known or numbers_moved:
            reason = reason_to_load(known, announced, state.columns, now)
            logger.info("stream %s: %s changed: %s -> %s%s", self._declaration.name, name,
                        known, announced, f"; loaded anew: {reason}" if reason else "")  # fmt: skip
            if reason:
                collected.position = collected.position.with_table(name, state=PENDING)
                collected.wants_load = True
                return None
            collected.position = collected.position.with_table(
                name,
                columns={
                    column: [now[column].number if column in now else 0, kind]
                    for column, kind in announced.items()
                },
            )
        key = tuple(column.name for column in relation.columns if column.is_key)
        if relation.replica_identity == "f":
            with server.connect(self._conninfo) as connection:
                key = server.inspect_table(connection, name).key
        return Followed(
            relation.namespace, self._declaration.landing_table(name), tuple(columns), key,
            state.generation,
        )  # fmt: skip

    def _finish(self, collected: Collected) -> tuple[Batch | None, PostgresPosition, int]:
        splits = bool(self._final_lsn)
        collected.end_transactions()
        if splits:
            collected.position = replace(
                collected.position,
                partial_lsn=self._final_lsn,
                partial_skip=max(self._in_transaction, self._landed_changes),
            )
        elif not collected.rows and not collected.before.partial_lsn:
            self._move_on_when_idle(collected)
        if collected.position == collected.before:
            return None, collected.position, collected.sequence
        self._bytes += collected.bytes
        self._events += collected.rows
        changes: list[TableChanges] = []
        quarantined: list[Quarantined] = []
        for buffer in collected.buffers.values():
            table, misfits = buffer.finish()
            changes.append(table)
            quarantined.extend(misfits)
        batch = Batch(
            tuple(changes), collected.position.to_json(), collected.sequence,
            first_commit=_seconds(collected.first_us), last_commit=_seconds(collected.last_us),
            rows=collected.rows, bytes=collected.bytes, quarantined=tuple(quarantined),
            splits_transaction=splits,
        )  # fmt: skip
        return batch, collected.position, collected.sequence

    def _move_on_when_idle(self, collected: Collected) -> None:
        """Move past what others wrote, or the server keeps its log for a stream without changes."""
        with self._using:
            end = self._cursor.wal_end
        lsn = max(end, collected.position.lsn)  # transactions may have held nothing of ours
        moved = lsn - collected.before.lsn
        waited = time.monotonic() - self._moved_at
        if moved and (moved >= _IDLE_BYTES or waited >= _IDLE_S):
            self._moved_at = time.monotonic()
        else:
            lsn = collected.before.lsn
        collected.position = replace(collected.position, lsn=lsn)

    def _feedback(self, *, reply: bool = False) -> None:
        try:
            self._cursor.send_feedback(flush_lsn=self._confirmed, reply=reply, force=True)
        except psycopg2.Error as error:
            raise _failed(error) from error

    def _keep_alive(self) -> None:
        while not self._closing.wait(FEEDBACK_S):
            with self._using:
                if self._closing.is_set() or self._connection.closed:
                    return
                try:
                    self._feedback()
                except SourceError as error:
                    logger.warning("the source does not hear us: %s", error)
                    return  # the reader meets the same failure, and says so


def _seconds(micros: int) -> float | None:
    return micros / 1_000_000 if micros else None


def _failed(error: Exception) -> SourceError:
    first = str(error).strip().split("\n", 1)[0]
    return SourceError(f"The replication connection failed: {first or type(error).__name__}")
