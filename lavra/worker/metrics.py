"""What a worker says of itself to Prometheus."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

if TYPE_CHECKING:
    from lavra.landing.run import StreamResult
    from lavra.streams.source import Batch, Lag

logger = logging.getLogger(__name__)

_STATES = ("running", "waiting", "stopped", "failed")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)


class WorkerMetrics:
    """The numbers; docs/streams.md lists them. Each worker has a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        name = ("stream",)
        self._rows = Counter("lavra_stream_rows", "Rows landed.", name, registry=registry)
        self._bytes = Counter(
            "lavra_stream_bytes", "Bytes of changes as the source sent them.", name,
            registry=registry,
        )  # fmt: skip
        self._quarantined = Counter(
            "lavra_stream_quarantined", "Rows put into quarantine.", name, registry=registry
        )
        self._commit = Histogram(
            "lavra_stream_commit_seconds", "Time that a batch took to land.", name,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._freshness = Histogram(
            "lavra_stream_freshness_seconds",
            "From the commit at the source of a batch's oldest change until it landed.", name,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._last_commit = Gauge(
            "lavra_stream_last_commit_timestamp_seconds", "When a batch was last landed.", name,
            registry=registry,
        )  # fmt: skip
        self._lag = Gauge(
            "lavra_stream_lag_bytes", "Of the source's log, that is not landed.", name,
            registry=registry,
        )  # fmt: skip
        self._retained = Gauge(
            "lavra_stream_retained_bytes", "Of the source's log, kept for the stream.", name,
            registry=registry,
        )  # fmt: skip
        self._state = Gauge(
            "lavra_stream_state", "1 for the state that the stream is in.", ("stream", "state"),
            registry=registry,
        )  # fmt: skip
        self._crashes = Counter(
            "lavra_worker_crashes", "Errors that nobody foresaw; the thread begins again.",
            ("thread",), registry=registry,
        )  # fmt: skip
        self._landings = Counter(
            "lavra_worker_landings", "Streams of connections that landed or failed.",
            ("connection", "result"), registry=registry,
        )  # fmt: skip
        self._model_runs = Histogram(
            "lavra_worker_model_run_seconds", "Runs of the models that were due.", ("result",),
            buckets=(1, 5, 15, 60, 300, 1800), registry=registry,
        )  # fmt: skip

    def landed(self, stream: str, batch: Batch, seconds: float) -> None:
        """Count a batch that was committed within ``seconds``."""
        self._rows.labels(stream).inc(batch.rows)
        self._bytes.labels(stream).inc(batch.bytes)
        self._quarantined.labels(stream).inc(len(batch.quarantined))
        self._commit.labels(stream).observe(seconds)
        self._last_commit.labels(stream).set_to_current_time()
        if batch.first_commit is not None:
            self._freshness.labels(stream).observe(max(time.time() - batch.first_commit, 0.0))

    def lag(self, stream: str, lag: Lag) -> None:
        """Note how far behind its source a stream is."""
        self._lag.labels(stream).set(lag.bytes)
        self._retained.labels(stream).set(lag.retained_bytes)

    def stream_state(self, stream: str, state: str) -> None:
        """Note a stream's state."""
        for each in _STATES:
            self._state.labels(stream, each).set(each == state)

    def crashed(self, thread: str) -> None:
        """Count an error that nobody foresaw, in a thread of the worker."""
        self._crashes.labels(thread).inc()

    def connection_landed(self, result: StreamResult) -> None:
        """Count what a connection landed."""
        self._landings.labels(result.connection, "failed" if result.error else "landed").inc()

    def models_ran(self, seconds: float, *, failed: bool) -> None:
        """Count a run of the models."""
        self._model_runs.labels("failed" if failed else "succeeded").observe(seconds)

    @contextmanager
    def served(self, host: str, port: int) -> Iterator[int]:
        """Answer ``GET /metrics`` for the block; yield the port. 0 takes any that is free.

        A port that somebody else has is no reason not to work: it is logged.
        """
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            logger.warning("no metrics at %s:%d: %s", host, port, error)
            yield 0
            return
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
