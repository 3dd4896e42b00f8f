"""OpenTelemetry traces: one span per query, with a child for each of its stages.

Spans are made when a query has ended, from the times its record kept anyway; so a service without
an endpoint pays nothing, and one with an endpoint pays after the answer, in a thread of its own.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lavra.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from lavra.settings import Settings
    from query_service.queries import QueryRecord

TRACE_PARENT: ContextVar[str | None] = ContextVar("trace_parent", default=None)
"""The request's ``traceparent`` header (W3C): the caller's span, to which the query's belongs."""

EXPORT_TIMEOUT_S = 2
"""An endpoint that does not answer for so long loses the spans that were sent to it."""

EXPORT_EVERY_MS = 1000


class Tracer:
    """Turns queries that ended into spans.

    Args:
        provider: Where the spans go.
        show_sql: Whether spans hold the SQL.
    """

    def __init__(self, provider: TracerProvider, *, show_sql: bool) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an optional extra
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415

        self._api = trace
        self._propagator = tracecontext.TraceContextTextMapPropagator()
        self._provider = provider
        self._tracer = provider.get_tracer("query_service")
        self._show_sql = show_sql

    def query_ended(self, record: QueryRecord) -> None:
        """Make the spans of a query that ended."""
        origin = int(record.began_at.timestamp() * 1e9)

        def at(monotonic: float) -> int:
            return origin + int((monotonic - record.began) * 1e9)

        carrier = {"traceparent": record.trace_parent} if record.trace_parent else {}
        span = self._tracer.start_span(
            "query",
            context=self._propagator.extract(carrier),
            kind=self._api.SpanKind.SERVER,
            start_time=at(record.began),
            attributes=self._attributes(record),
        )
        inside = self._api.set_span_in_context(span)
        for stage in record.stage_times():
            child = self._tracer.start_span(stage.name, inside, start_time=at(stage.began))
            child.end(at(stage.ended))
        if record.state == "failed":
            span.set_status(self._api.Status(self._api.StatusCode.ERROR, record.error))
        span.end(at(record.began + (record.elapsed_s or 0)))

    def close(self) -> None:
        """Send what is left and stop; blocks for at most the export's time limit."""
        self._provider.shutdown()

    def _attributes(self, record: QueryRecord) -> dict[str, Any]:
        attributes = {
            "lavra.query_id": record.query_id,
            "lavra.caller": record.caller.identity,
            "lavra.environment": record.environment,
            "lavra.snapshot": record.snapshot,
            "lavra.tables": list(record.tables),
            "lavra.format": record.encoding,
            "lavra.rows": record.row_count,
            "lavra.bytes": record.bytes_out,
            "lavra.cached": record.cached,
            "lavra.outcome": record.state,
            "error.type": record.error,
            "db.query.text": record.sql if self._show_sql else None,
        }
        return {name: value for name, value in attributes.items() if value is not None}


def open_tracer(settings: Settings) -> Tracer | None:
    """Return a tracer that sends to the endpoint of the settings, or None if they name none.

    Raises:
        ConfigurationError: the extra ``tracing`` is not installed.
    """
    endpoint = settings.otlp_endpoint.rstrip("/")
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces need the package {error.name}.",
            remedy="Install it with: pip install 'lavra[service,tracing]', or unset the variable.",
        ) from error
    provider = TracerProvider(
        resource=Resource.create(
            {"service.name": "lavra-query-service", "service.namespace": settings.name}
        ),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_MS))
    return Tracer(provider, show_sql=settings.log_sql)
