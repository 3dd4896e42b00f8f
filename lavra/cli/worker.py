"""`lavra worker`: what recurs."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lavra.cli.console import err

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from lavra.worker.metrics import WorkerMetrics
    from lavra.worker.worker import WorkerPart


class Part(StrEnum):
    """A part of the worker."""

    STREAMS = "streams"
    INGEST = "ingest"
    MODELS = "models"


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @app.command()
    def worker(
        once: Annotated[
            bool, typer.Option("--once", help="Do what is due, and end; for a job.")
        ] = False,
        only: Annotated[
            list[Part] | None, typer.Option(help="Only this part; may be repeated.")
        ] = None,
    ) -> None:
        """Do what recurs, until Ctrl-C: land what is due, follow the streams, run the models.

        What arrived makes the models due that read it; they are run and released. Each part is
        active in one worker of a lake at a time; another waits for it.
        """
        from lavra.catalog import open_catalog  # noqa: PLC0415
        from lavra.settings import load_settings  # noqa: PLC0415
        from lavra.worker.metrics import WorkerMetrics  # noqa: PLC0415
        from lavra.worker.worker import Worker, stopping_on_signals  # noqa: PLC0415

        settings = load_settings()
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
        )
        catalog, metrics = open_catalog(settings), WorkerMetrics()
        parts = _parts(settings, catalog, metrics, set(only or ()))
        running = Worker(catalog, parts, metrics.crashed)
        port = 0 if once else settings.worker_metrics_port
        with (
            stopping_on_signals(running),
            metrics.served(settings.worker_metrics_host, port) if port else nullcontext(),
        ):
            running.run(
                once=once, on_wait=lambda part: err.print(f"Another worker does {part}; waiting.")
            )


def _parts(
    settings: Settings, catalog: Catalog, metrics: WorkerMetrics, only: set[Part]
) -> list[WorkerPart]:
    from lavra.errors import ConfigurationError  # noqa: PLC0415
    from lavra.storage import open_storage  # noqa: PLC0415
    from lavra.streams.declarations import load_streams  # noqa: PLC0415
    from lavra.worker.following import StreamsPart  # noqa: PLC0415
    from lavra.worker.recurring import IngestPart, ModelsPart  # noqa: PLC0415

    storage = open_storage(settings)
    parts: list[WorkerPart] = []
    streams = load_streams(settings.project)
    if streams and (not only or Part.STREAMS in only):
        parts.append(StreamsPart(settings, catalog, storage, streams, metrics))
    elif Part.STREAMS in only:
        raise ConfigurationError(
            f"There is no stream in {settings.project / 'airbyte' / 'streams'}.",
            remedy="docs/streams.md shows how to write one.",
        )
    if not only or Part.INGEST in only:
        parts.append(IngestPart(settings, catalog, storage, metrics))
    if not only or Part.MODELS in only:
        parts.append(ModelsPart(settings, catalog, metrics))
    return parts
