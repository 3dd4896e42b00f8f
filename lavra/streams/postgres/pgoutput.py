"""Decodes pgoutput, the replication format that is built into Postgres (protocol version 1).

Values stay the bytes they are on the wire: whoever collects them turns whole columns into types
(:mod:`lavra.streams.postgres.tuples`); :func:`parse_tuple` is for the rare row that is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

POSTGRES_EPOCH_US: Final = 946_684_800_000_000
"""2000-01-01 UTC in microseconds of the Unix epoch."""

_BEGIN = Struct(">QqI")
_COMMIT = Struct(">BQQq")
_RELATION_COLUMN = Struct(">Ii")
_LENGTH = Struct(">i")
_UNCHANGED: Final = ord("u")
_NULL: Final = ord("n")


class UnchangedValue:
    """A value that was too large to be sent again because it did not change."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = UnchangedValue()
Value = bytes | UnchangedValue | None


class Begin(NamedTuple):
    """A transaction begins: where its commit record stands, and when it committed (epoch us)."""

    final_lsn: int
    committed_us: int


class Commit(NamedTuple):
    """A transaction ended; ``end_lsn`` is just after its commit record."""

    commit_lsn: int
    end_lsn: int


@dataclass(frozen=True)
class RelationColumn:
    """A column as the stream announces it."""

    name: str
    type_oid: int
    modifier: int
    is_key: bool


@dataclass(frozen=True, eq=False)
class Relation:
    """A table as the following changes have it; sent anew after each change of its definition."""

    relation_id: int
    namespace: str
    name: str
    replica_identity: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True)
class Truncate:
    """Tables were emptied."""

    relation_ids: tuple[int, ...]


def parse_begin(data: bytes) -> Begin:
    """Parse a ``B`` message."""
    final_lsn, micros, _ = _BEGIN.unpack_from(data, 1)
    return Begin(final_lsn, micros + POSTGRES_EPOCH_US)


def parse_commit(data: bytes) -> Commit:
    """Parse a ``C`` message."""
    _, commit_lsn, end_lsn, _ = _COMMIT.unpack_from(data, 1)
    return Commit(commit_lsn, end_lsn)


def parse_relation(data: bytes) -> Relation:
    """Parse an ``R`` message."""
    relation_id = int.from_bytes(data[1:5], "big")
    namespace, at = _text(data, 5)
    name, at = _text(data, at)
    identity = chr(data[at])
    count = int.from_bytes(data[at + 1 : at + 3], "big")
    at += 3
    columns = []
    for _ in range(count):
        is_key = bool(data[at] & 1)
        column, at = _text(data, at + 1)
        type_oid, modifier = _RELATION_COLUMN.unpack_from(data, at)
        at += 8
        columns.append(RelationColumn(column, type_oid, modifier, is_key))
    return Relation(relation_id, namespace or "pg_catalog", name, identity, tuple(columns))


def parse_truncate(data: bytes) -> Truncate:
    """Parse a ``T`` message."""
    count = int.from_bytes(data[1:5], "big")
    return Truncate(
        tuple(int.from_bytes(data[6 + 4 * i : 10 + 4 * i], "big") for i in range(count))
    )


def parse_tuple(data: bytes, at: int) -> tuple[list[Value], int]:
    """Parse a row that starts at ``at``; return its values and where it ends."""
    count = int.from_bytes(data[at : at + 2], "big")
    at += 2
    values: list[Value] = []
    append = values.append
    length_at = _LENGTH.unpack_from
    for _ in range(count):
        kind = data[at]
        if kind == _NULL:
            append(None)
            at += 1
        elif kind == _UNCHANGED:
            append(UNCHANGED)
            at += 1
        else:
            start = at + 5
            at = start + length_at(data, at + 1)[0]
            append(data[start:at])
    return values, at


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode(), end + 1
