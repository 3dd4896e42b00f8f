"""`lavra worker`: what recurs."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Annotated

import typer

from lavra.cli.console import err


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
        """Do what recurs, until Ctrl-C: follow the streams. One worker is active at a time."""
        from lavra.catalog import open_catalog  # noqa: PLC0415
        from lavra.errors import ConfigurationError  # noqa: PLC0415
        from lavra.settings import load_settings  # noqa: PLC0415
        from lavra.storage import open_storage  # noqa: PLC0415
        from lavra.streams.declarations import load_streams  # noqa: PLC0415
        from lavra.streams.worker import Worker, stopping_on_signals  # noqa: PLC0415

        parts = set(only or [Part.STREAMS])
        if parts != {Part.STREAMS}:
            raise ConfigurationError(
                "The worker follows streams; it does not land or run models yet.",
                remedy="Use `lavra ingest run` and `sqlmesh run` for those.",
            )
        settings = load_settings()
        logging.basicConfig(
            level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
        )
        streams = load_streams(settings.project)
        if not streams:
            raise ConfigurationError(
                f"There is no stream in {settings.project / 'airbyte' / 'streams'}.",
                remedy="docs/streams.md shows how to write one.",
            )
        running = Worker(settings, open_catalog(settings), open_storage(settings), streams)
        with stopping_on_signals(running):
            running.run(once=once, on_wait=lambda: err.print("Another worker is active; waiting."))
