"""The worker's landing and models: what a schedule or an arrival makes due."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lavra.catalog.locks import WORKER_INGEST_LOCK, WORKER_MODELS_LOCK
from lavra.errors import CatalogError, IngestError, LavraError, ProcessError
from lavra.sensors.models import run_models
from lavra.sensors.watch import Watch
from lavra.streams.tables import rows_landed

if TYPE_CHECKING:
    from lavra.airbyte.jobs import Job
    from lavra.catalog import Catalog
    from lavra.landing.run import StreamResult
    from lavra.settings import Settings
    from lavra.storage import LakeStorage
    from lavra.worker.metrics import WorkerMetrics

logger = logging.getLogger(__name__)

_ARRIVALS_S = 1.0
_LONGEST_RETRY_S = 600.0


class IngestPart:
    """Lands connections that are due, and enters what a real Airbyte landed.

    Args:
        settings: Of the lake.
        catalog: Its catalog.
        storage: Its files.
        metrics: Where numbers go.
    """

    name, lock, follows = "ingest", WORKER_INGEST_LOCK, False

    def __init__(
        self, settings: Settings, catalog: Catalog, storage: LakeStorage, metrics: WorkerMetrics
    ) -> None:
        self._settings = settings
        self._watch = Watch(settings, catalog, storage, _Logged(metrics), run_models=None)

    def run(self, stopping: threading.Event, *, once: bool) -> None:
        """Look until ``stopping`` is set; see :class:`lavra.worker.worker.WorkerPart`."""
        last = ""
        while not stopping.is_set():
            try:
                results = self._watch.look()
                last = ""
            except LavraError as error:  # the catalog is away, a declaration is being edited
                if once:
                    raise
                if str(error) != last:
                    logger.warning("ingest: %s", error)
                last, results = str(error), []
            if once:
                if failed := [r for r in results if r.error]:
                    raise IngestError(
                        f"{failed[0].connection}.{failed[0].stream}: {failed[0].error}",
                        remedy=failed[0].remedy,
                    )
                return
            stopping.wait(self._settings.worker_look_s)


class ModelsPart:
    """Runs the models that depend on what arrived, whoever landed it, and releases.

    Args:
        settings: Of the lake.
        catalog: Its catalog.
        metrics: Where numbers go.
        run: Runs the models that are due, until told to stop.
    """

    name, lock, follows = "models", WORKER_MODELS_LOCK, True

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        metrics: WorkerMetrics,
        run: Callable[[Settings, threading.Event], None] = run_models,
    ) -> None:
        self._settings, self._catalog, self._metrics, self._run = settings, catalog, metrics, run

    def run(self, stopping: threading.Event, *, once: bool) -> None:
        """Run models until ``stopping`` is set; see :class:`lavra.worker.worker.WorkerPart`."""
        if once:
            self._run_models(stopping)
            return
        pause_s, every_s = (
            self._settings.worker_models_pause_s,
            self._settings.worker_models_every_s,
        )
        modelled: tuple[int, ...] | None = None
        wait_s, began = 0.0, 0.0
        while not stopping.wait(_ARRIVALS_S):
            since = time.monotonic() - began
            if began and since < wait_s:
                continue
            try:
                arrived = arrivals(self._catalog)
                if arrived == modelled and since < every_s:
                    continue
                began = time.monotonic()
                self._run_models(stopping)
                modelled, wait_s = arrived, pause_s
            except (CatalogError, ProcessError) as error:
                if stopping.is_set():
                    return
                logger.error("models: %s", error)  # noqa: TRY400 - its words suffice
                began = time.monotonic()
                wait_s = min(max(wait_s * 2, pause_s, 1.0), _LONGEST_RETRY_S)

    def _run_models(self, stopping: threading.Event) -> None:
        logger.info("models: those that are due run")
        started = time.monotonic()
        try:
            self._run(self._settings, stopping)
        except ProcessError:
            self._metrics.models_ran(time.monotonic() - started, failed=True)
            raise
        self._metrics.models_ran(time.monotonic() - started, failed=False)


def arrivals(catalog: Catalog) -> tuple[int, ...]:
    """Return numbers that are others after anything landed, by a connection or a stream."""
    with catalog.connect() as connection:
        row = connection.execute(
            "select coalesce(max(sync_id), 0), count(*) filter (where replaced_at is null) "
            "from lavra.landing_file"
        ).fetchone()
    return (*(row or ()), rows_landed(catalog))


class _Logged:
    """Tells the log what lands."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics

    def waiting(self, connection: str) -> None:
        logger.info("%s: another run of it is under way; waiting", connection)

    def rows(self, connection: str, stream: str, row_count: int) -> None:
        logger.debug("%s.%s: %d rows so far", connection, stream, row_count)

    def job(self, connection: str, job: Job, *, joined: bool) -> None:  # noqa: ARG002
        logger.info("%s: Airbyte's job %s is %s", connection, job.id, job.status)

    def due(self, connection: str, reason: str) -> None:
        logger.info("%s: %s", connection, reason)

    def models(self, connections: Sequence[str]) -> None:
        """Not asked: the models are another part's."""

    def trouble(self, error: LavraError) -> None:
        logger.warning("%s", error)

    def done(self, result: StreamResult) -> None:
        self._metrics.connection_landed(result)
        if result.error:
            logger.error("%s.%s: %s", result.connection, result.stream, result.error)
        else:
            logger.info("%s.%s: %d rows landed", result.connection, result.stream, result.row_count)
