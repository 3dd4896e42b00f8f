"""What a run asks of a source: plan a stream's read, then yield its batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from lavra.landing.bronze_writer import Change
from lavra.landing.connections import Stream
from lavra.landing.types import LandedType

Batch = tuple[pa.Table, dict[int, list[Change]]]
"""Rows with the planned schema, and what was done to values that did not fit, by row."""


@dataclass
class StreamRead:
    """One read of one stream: its schema is known, its rows are still to come.

    Attributes:
        columns: Name and type of each column, in order.
        batches: The rows. Raises SourceError when the source fails midway.
        next_state: Where the next incremental read goes on; complete once ``batches`` are
            exhausted. None for a full read.
        skipped_count: Rows that were left out because they are malformed, on request.
        is_unchanged: The source still holds exactly what ``state`` says has landed: there are no
            batches, and what has landed stays.
    """

    columns: dict[str, LandedType]
    batches: Iterator[Batch]
    next_state: dict[str, Any] | None = None
    skipped_count: int = 0
    is_unchanged: bool = False
    notes: list[str] = field(default_factory=list)

    def schema(self) -> pa.Schema:
        """Return the Arrow schema of the batches."""
        return pa.schema([(name, kind.arrow) for name, kind in self.columns.items()])


class SourceReader(Protocol):
    """A source that is connected for one run; every stream is read from the same moment."""

    def read(
        self, stream: Stream, state: dict[str, Any] | None
    ) -> AbstractContextManager[StreamRead]:
        """Begin to read a stream, from ``state`` on if it is given.

        Raises:
            SourceError: the stream does not exist or cannot be read.
            ConfigurationError: the declaration names a column that it does not have.
        """
