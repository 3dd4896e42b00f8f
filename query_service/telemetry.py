"""What becomes known of a query that ended: its metrics, its log line, its trace."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from query_service.logs import log_query
from query_service.metrics import Metrics

if TYPE_CHECKING:
    from query_service.queries import QueryRecord
    from query_service.tracing import Tracer


TELL_AFTER_S = 0.02
"""Queries that ended are counted and logged this much later: their answers go first."""


@dataclass
class Telemetry:
    """Tells everyone who wants to know that a query ended, shortly after it did.

    Attributes:
        tracer: Makes spans; None makes none.
        show_sql: Whether log lines hold the SQL.
        metrics: What ``/metrics`` shows.
    """

    tracer: Tracer | None = None
    show_sql: bool = False
    metrics: Metrics = field(default_factory=Metrics)
    _ended: list[QueryRecord] = field(default_factory=list)

    def query_ended(self, record: QueryRecord) -> None:
        """Count, log and trace a query that ended, after its answer was sent."""
        if not self._ended:
            asyncio.get_running_loop().call_later(TELL_AFTER_S, self.tell)
        self._ended.append(record)

    def tell(self) -> None:
        """Tell of all queries that have ended by now."""
        ended, self._ended = self._ended, []
        for record in ended:
            self._tell(record)

    def _tell(self, record: QueryRecord) -> None:
        self.metrics.query_ended(record)
        log_query(record, show_sql=self.show_sql)
        if self.tracer:
            self.tracer.query_ended(record)

    async def close(self) -> None:
        """Tell what is left, and send the spans."""
        self.tell()
        if self.tracer:
            await asyncio.to_thread(self.tracer.close)
