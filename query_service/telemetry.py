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


@dataclass
class Telemetry:
    """Tells everyone who wants to know that a query ended.

    Attributes:
        tracer: Makes spans; None makes none.
        show_sql: Whether log lines hold the SQL.
        metrics: What ``/metrics`` shows.
    """

    tracer: Tracer | None = None
    show_sql: bool = False
    metrics: Metrics = field(default_factory=Metrics)

    def query_ended(self, record: QueryRecord) -> None:
        """Count, log and trace a query that ended."""
        self.metrics.query_ended(record)
        log_query(record, show_sql=self.show_sql)
        if self.tracer:
            self.tracer.query_ended(record)

    async def close(self) -> None:
        """Send the spans that are left."""
        if self.tracer:
            await asyncio.to_thread(self.tracer.close)
