"""What the streams' core asks of a source, whatever it is: Postgres now, Kafka later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

Position = dict[str, Any]
"""Where a source goes on, as JSON that only the source understands."""

SEQUENCE = "_lavra_sequence"
GENERATION = "_airbyte_generation_id"
LSN = "_ab_cdc_lsn"
UPDATED_AT = "_ab_cdc_updated_at"
DELETED_AT = "_ab_cdc_deleted_at"

SOURCE_META = pa.schema(
    [
        (GENERATION, pa.int64()),
        (LSN, pa.int64()),
        (UPDATED_AT, pa.timestamp("us", "UTC")),
        (DELETED_AT, pa.timestamp("us", "UTC")),
        (SEQUENCE, pa.int64()),
    ]
)
"""Columns that every batch of rows ends with, beside the source's own."""


@dataclass(frozen=True)
class Unchanged:
    """Values of one row that the source left out because they did not change.

    Attributes:
        row: Its place in the batch's rows.
        columns: The columns left out.
        prior_key: Key of the row's earlier version, in the order of the table's key.
    """

    row: int
    columns: tuple[str, ...]
    prior_key: tuple[Any, ...]


@dataclass(frozen=True)
class TableChanges:
    """Changes of one table, in order, all of the same schema.

    Attributes:
        namespace: Where the source keeps the table (a Postgres schema, a Kafka cluster).
        table: Its name in the landing schema.
        key: Columns that identify a row.
        rows: The source's columns, then those of :data:`SOURCE_META`. A row with
            ``_ab_cdc_deleted_at`` is a delete; without a key, it empties the table.
        unchanged: Values to take from the row's earlier version.
    """

    namespace: str
    table: str
    key: tuple[str, ...]
    rows: pa.RecordBatch
    unchanged: tuple[Unchanged, ...] = ()


@dataclass(frozen=True)
class Quarantined:
    """A row that does not fit its columns, kept as text."""

    table: str
    sequence: int
    reason: str
    row: dict[str, str | None]


@dataclass(frozen=True)
class Batch:
    """What lands in one commit.

    Attributes:
        changes: By table and schema, each in order; the order of all is ``_lavra_sequence``.
        position: Where the source goes on once this is committed.
        sequence: The highest ``_lavra_sequence`` given out so far.
        first_commit, last_commit: Times of the source's commits, epoch seconds; None without any.
        rows: Number of rows in ``changes``.
        bytes: What they took on the wire.
        quarantined: Rows that landed nowhere else.
        discard: (table, generation) of a load that was interrupted, whose rows go first.
        splits_transaction: Whether it ends within a transaction of the source.
    """

    changes: tuple[TableChanges, ...]
    position: Position
    sequence: int
    first_commit: float | None = None
    last_commit: float | None = None
    rows: int = 0
    bytes: int = 0
    quarantined: tuple[Quarantined, ...] = ()
    discard: tuple[tuple[str, int], ...] = ()
    splits_transaction: bool = False


@dataclass(frozen=True)
class Lag:
    """How far behind the source the stream is.

    Attributes:
        bytes: Of the source's log, between its end and what is acknowledged.
        retained_bytes: Of the log that the source keeps for us.
        events: An estimate from the bytes; None when nothing was streamed yet.
    """

    bytes: int
    retained_bytes: int
    events: int | None = None


class StreamSource(Protocol):
    """A source of changes; it raises SourceError when it breaks off.

    One thread uses it, but for :meth:`acknowledge`, which another may call meanwhile.
    """

    def open(self, position: Position | None, sequence: int) -> None:
        """Connect and go on after ``position``; None begins anew.

        Args:
            position: As the last committed batch had it.
            sequence: The highest ``_lavra_sequence`` that is committed.

        Raises:
            SourceError: it cannot be reached.
            ConfigurationError: it cannot be followed as declared.
        """

    def poll(self, deadline: float) -> Batch | None:
        """Return what arrived until ``deadline`` (monotonic seconds), or None if nothing did."""

    def acknowledge(self, position: Position) -> None:
        """Say that all up to ``position`` is committed: the source may forget it."""

    def is_caught_up(self) -> bool:
        """Whether all that was committed at the source when it was opened has been returned."""

    def lag(self) -> Lag:
        """Return how far behind we are; it need not be open."""

    def forget(self) -> None:
        """Have the source keep nothing for us any more: the next start begins anew."""

    def close(self) -> None:
        """Disconnect; safe to call twice and after a failure."""
