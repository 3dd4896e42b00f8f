"""What travels between the front and an engine: one job in, a few events out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from query_service.formats.encoders import Piece


@dataclass(frozen=True)
class Job:
    """One query to run.

    Attributes:
        query_id: The query's id.
        release_file: Path of the release's manifest (:mod:`query_service.cache.release_file`).
        sql: One statement.
        parameters: Values of the placeholders as the request gave them.
        row_limit: Most rows to answer; None for all.
        encoding: One of :data:`query_service.formats.ENCODINGS`.
        string_views: Whether the client reads Arrow's view types.
    """

    query_id: str
    release_file: str
    sql: str
    parameters: list[Any] | dict[str, Any] | None = None
    row_limit: int | None = None
    encoding: str = "json"
    string_views: bool = False


@dataclass(frozen=True)
class Started:
    """The query is planned and its first batch computed.

    ``tables`` are "schema.table" read, ``columns`` "schema.table.column".
    """

    tables: tuple[str, ...]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """Encoded bytes of the answer, in order; in the front they are ``bytes``."""

    data: Piece


@dataclass(frozen=True)
class Finished:
    """The answer is complete."""

    row_count: int
    truncated: bool


@dataclass(frozen=True)
class Failed:
    """The query failed; ``code`` is that of a class of ``lavra.errors``."""

    code: str
    message: str
    remedy: str | None = None


@dataclass(frozen=True)
class Whole:
    """A short answer, all events at once: each one costs more than its bytes."""

    started: Started
    data: bytes
    finished: Finished


Event = Started | Chunk | Finished | Failed | Whole
ENDS = Finished | Failed | Whole
"""After one of these there is nothing more."""
