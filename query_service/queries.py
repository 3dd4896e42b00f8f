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
from query_service.tracing import TRACE_PARENT

RECENT = 200
SHOWN_SQL = 2000


@dataclass(frozen=True)
class StageTime:
    """One stage of a query: its name, and its begin and end on the monotonic clock."""

    name: str
    began: float
    ended: float


@dataclass
class QueryRecord:
    """One query.

    It goes through stages, some of which it may skip: ``load`` (the release that it names is
    loaded), ``wait`` (for a free engine, or for an identical query under way), ``execute`` (until
    the answer is complete or begins to stream), ``send`` (until its last byte is handed over).

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
        tables: The tables it read, as "schema.table"; known once it has begun to answer.
        columns: What it read of them, as "schema.table.column".
        trace_parent: The caller's span, if it sent one.
        client: The address that it came from.
        logged: Whether the access log has it.
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
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    trace_parent: str | None = field(default_factory=TRACE_PARENT.get)
    client: str | None = None
    logged: bool = False
    began_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    began: float = field(default_factory=time.monotonic)
    elapsed_s: float | None = None
    _stages: list[tuple[str, float]] = field(default_factory=list)

    def enter(self, stage: str) -> None:
        """Note that a stage begins, and that the one before it ends."""
        if not self._stages or self._stages[-1][0] != stage:
            self._stages.append((stage, time.monotonic()))

    def wait_for(self, waiter: Waiter | None) -> None:
        """Note what the query waits for, or that it runs."""
        self.waiter = waiter
        self.state = "waiting" if waiter else "running"
        if waiter:
            self.enter("wait")

    def stage_times(self) -> list[StageTime]:
        """Return the stages so far, in order; the last one ends with the query, or now."""
        end = time.monotonic() if self.elapsed_s is None else self.began + self.elapsed_s
        ends = [began for _, began in self._stages[1:]] + [end]
        return [
            StageTime(name, began, ended)
            for (name, began), ended in zip(self._stages, ends, strict=False)
        ]

    def stage_ms(self) -> dict[str, float]:
        """Return the milliseconds spent in each stage so far."""
        spent: dict[str, float] = {}
        for stage in self.stage_times():
            taken = (stage.ended - stage.began) * 1000
            spent[stage.name] = round(spent.get(stage.name, 0) + taken, 3)
        return spent

    def belongs_to(self, caller: Caller) -> bool:
        """Whether a caller may see and end it."""
        return caller.is_admin or caller.identity == self.caller.identity

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
            "stage": self._stages[-1][0] if self._stages and self.elapsed_s is None else None,
            "stages_ms": self.stage_ms(),
            "tables": list(self.tables),
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

    def describe(self, caller: Caller) -> dict[str, Any]:
        """Return the body of ``GET /v1/queries``: one's own, or all for an administrator."""
        everything = [*self.running.values(), *self._recent]
        return {"queries": [r.describe() for r in everything if r.belongs_to(caller)]}
