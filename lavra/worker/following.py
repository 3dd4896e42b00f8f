"""The worker's streams."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lavra.catalog.locks import WORKER_LOCK
from lavra.errors import LavraError
from lavra.streams.retention import RetentionGuard
from lavra.streams.runner import StreamRunner
from lavra.streams.sources import open_source
from lavra.streams.telemetry import StreamTelemetry
from lavra.worker.crashes import keep_working

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from lavra.storage import LakeStorage
    from lavra.streams.declarations import StreamDeclaration
    from lavra.streams.landing import StreamLanding
    from lavra.streams.source import Batch, StreamSource
    from lavra.worker.metrics import WorkerMetrics

logger = logging.getLogger(__name__)


class StreamsPart:
    """Follows the streams, each in a thread.

    Args:
        settings: Of the lake.
        catalog: Its catalog.
        storage: Its files.
        streams: What is followed.
        metrics: Where numbers go.
    """

    name, lock, follows = "streams", WORKER_LOCK, False

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        storage: LakeStorage,
        streams: Sequence[StreamDeclaration],
        metrics: WorkerMetrics,
    ) -> None:
        self._settings, self._catalog, self._storage = settings, catalog, storage
        self._streams, self._metrics = streams, metrics

    def run(self, stopping: threading.Event, *, once: bool) -> None:
        """Follow until ``stopping`` is set; see :class:`lavra.worker.worker.WorkerPart`."""
        failures: list[LavraError] = []
        threads = [
            threading.Thread(
                target=self._follow, args=(stream, stopping, failures), kwargs={"once": once},
                name=f"stream-{stream.name}",
            )
            for stream in self._streams
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _follow(
        self,
        stream: StreamDeclaration,
        stopping: threading.Event,
        failures: list[LavraError],
        *,
        once: bool,
    ) -> None:
        telemetry = StreamTelemetry(self._catalog, stream)
        metrics = self._metrics

        def connect() -> StreamSource:
            return open_source(self._settings, stream)

        def observe(batch: Batch, landing: StreamLanding, seconds: float) -> None:
            telemetry.observe(batch, landing, seconds)
            metrics.landed(stream.name, batch, seconds)

        def report(state: str, error: LavraError | None) -> None:
            telemetry.report(state, error)
            metrics.stream_state(stream.name, state)

        runner = StreamRunner(
            self._catalog, self._storage, stream, connect, observe=observe, report=report
        )
        guard = RetentionGuard(stream, connect, observe=metrics.lag)

        def crashed(name: str, error: LavraError) -> None:
            metrics.crashed(name)
            report("failed", error)

        def follow() -> None:
            with guard.watching():
                runner.run(stopping, once=once)

        try:
            keep_working(f"stream-{stream.name}", follow, stopping, crashed, once=once)
            report("stopped", None)
        except LavraError as error:
            logger.error("stream %s: %s", stream.name, error)  # noqa: TRY400 - its words suffice
            report("failed", error)
            failures.append(error)
