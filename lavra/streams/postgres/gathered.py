"""What loads have read and lands in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from lavra.streams.postgres.position import PostgresPosition
from lavra.streams.source import Batch, Quarantined, TableChanges


class Gathered:
    """Rows of loads that land together: small tables whole, and parts of a large one.

    A commit costs as much as tens of thousands of rows, so each holds as much as a batch may.

    Attributes:
        bytes: In memory, of all rows.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._runs: list[list[TableChanges]] = []
        self._quarantined: list[Quarantined] = []
        self._discard: list[tuple[str, int]] = []

    def add(self, changes: TableChanges, quarantined: Sequence[Quarantined] = ()) -> None:
        """Add rows of a table, and those of them that do not fit."""
        last = self._runs[-1][-1] if self._runs else None
        if last and last.table == changes.table and last.rows.schema == changes.rows.schema:
            self._runs[-1].append(changes)
        else:
            self._runs.append([changes])
        self._quarantined += quarantined
        self.bytes += changes.rows.nbytes

    def discard(self, table: str, generation: int) -> None:
        """Have the rows of a load that was interrupted go in the same commit."""
        self._discard.append((table, generation))

    def take(self, position: PostgresPosition, sequence: int) -> Batch:
        """Return all of it as a batch, after which the source goes on at ``position``."""
        changes = tuple(
            replace(run[0], rows=pa.concat_batches([part.rows for part in run]))
            for run in self._runs
        )
        batch = Batch(
            changes, position.to_json(), sequence,
            rows=sum(each.rows.num_rows for each in changes), bytes=self.bytes,
            quarantined=tuple(self._quarantined), discard=tuple(self._discard),
        )  # fmt: skip
        self._runs, self._quarantined, self._discard, self.bytes = [], [], [], 0
        return batch
