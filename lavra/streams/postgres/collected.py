"""What a batch holds while it is read from the log."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lavra.streams.postgres.columns import Column, TableBuffer
from lavra.streams.postgres.position import PostgresPosition


@dataclass(frozen=True, eq=False)
class Followed:
    """A table's definition as of now, and where its changes go."""

    namespace: str
    landing: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    generation: int


class Collected:
    """A batch that grows.

    Attributes:
        before: The position at its start.
        position: The position after it, once :meth:`end_transactions` was called.
        end_lsn: Where the last transaction ended that is in it whole; 0 without any.
        sequence: The last number given to a row.
        buffers: The changes, by definition of their table.
        by_relation: The buffer of each table's changes now, by its number on the wire.
        wants_load: Whether a table must be loaded next; the batch ends with the transaction.
        must_end: Whether it ends here.
    """

    def __init__(self, position: PostgresPosition, sequence: int) -> None:
        self.before = self.position = position
        self.sequence = sequence
        self.buffers: dict[Followed, TableBuffer] = {}
        self.by_relation: dict[bytes, TableBuffer] = {}
        self.rows = self.bytes = 0
        self.first_us = self.last_us = 0
        self.end_lsn = 0
        self.wants_load = self.must_end = False

    def count_row(self, commit_us: int) -> int:
        """Count one more row, committed at the source at ``commit_us``; return its number."""
        self.sequence += 1
        self.rows += 1
        if not self.first_us:
            self.first_us = commit_us
        self.last_us = commit_us
        return self.sequence

    def end_transactions(self) -> None:
        """Move the position past the transactions that are in the batch whole."""
        if self.end_lsn:
            self.position = replace(self.position, lsn=self.end_lsn, partial_lsn=0, partial_skip=0)
