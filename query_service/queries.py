"""Queries that run or wait now, and those that ended lately."""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from query_service.admission import Waiter

if TYPE_CHECKING:
    from lavra.access.caller import Caller
from query_service.descriptions import iso

RECENT = 200
SHOWN_SQL = 2000


@dataclass
class QueryRecord:
    """One query.

    Attributes:
        query_id: Its id.
        sql: Its text.
        environment: The environment it asked for.
        caller: Who asked.
        encoding: The answer's format.
        state: waiting, running, finished, failed or cancelled.
        snapshot: The release it is answered from.
        row_count: Rows answered.
        bytes_out: Bytes answered, before compression.
        cached: Whether the answer was kept from before.
        error: The code it failed with.
        waiter: What it waits for, if it waits.
    """

    query_id: str
    sql: str
    environment: str
    caller: Caller
    encoding: str
    state: str = "running"
    snapshot: str | None = None
    row_count: int | None = None
    bytes_out: int = 0
    cached: bool = False
    error: str | None = None
    waiter: Waiter | None = None
    began_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    began: float = field(default_factory=time.monotonic)
    elapsed_s: float | None = None

    def wait_for(self, waiter: Waiter | None) -> None:
        """Note what the query waits for, or that it runs."""
        self.waiter = waiter
        self.state = "waiting" if waiter else "running"

    def describe(self) -> dict[str, Any]:
        """Return the query as ``GET /v1/queries`` shows it."""
        elapsed = time.monotonic() - self.began if self.elapsed_s is None else self.elapsed_s
        return {
            "query_id": self.query_id,
            "state": self.state,
            "sql": self.sql[:SHOWN_SQL],
            "environment": self.environment,
            "caller": self.caller.name,
            "format": self.encoding,
            "snapshot": self.snapshot,
            "started_at": iso(self.began_at),
            "elapsed_ms": round(elapsed * 1000, 3),
            "row_count": self.row_count,
            "bytes": self.bytes_out,
            "cached": self.cached,
            "error": self.error,
        }


class QueryLog:
    """The running queries by id, and the last few that ended."""

    def __init__(self) -> None:
        self.running: dict[str, QueryRecord] = {}
        self._recent: deque[QueryRecord] = deque(maxlen=RECENT)

    def begin(self, record: QueryRecord) -> None:
        """Note a query that begins."""
        self.running[record.query_id] = record

    def end(self, record: QueryRecord, state: str, error: str | None = None) -> None:
        """Note how a query ended."""
        self.running.pop(record.query_id, None)
        record.state, record.error = state, error
        record.elapsed_s = time.monotonic() - record.began
        record.waiter = None
        self._recent.appendleft(record)

    def describe(self) -> dict[str, Any]:
        """Return the body of ``GET /v1/queries``."""
        everything = [*self.running.values(), *self._recent]
        return {"queries": [record.describe() for record in everything]}
