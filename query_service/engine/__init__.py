"""Where queries run: the statement rules, DataFusion, and the processes around it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lavra.storage import open_storage
from query_service.engine.base import Engine
from query_service.engine.executor import ExecutorOptions
from query_service.engine.pool import ProcessPool

if TYPE_CHECKING:
    from lavra.settings import Settings

__all__ = ["Engine", "build_engine", "engine_count"]


def engine_count(settings: Settings) -> int:
    """Return how many queries run at once."""
    return settings.service_engines or max(os.cpu_count() or 1, 2)


def build_engine(settings: Settings) -> Engine:
    """Return the engine that the settings ask for."""
    processors = os.cpu_count() or 1
    options = ExecutorOptions(
        memory_bytes=settings.service_query_memory_mb * 1024 * 1024,
        spill_folder=str(settings.state / "service" / "spill"),
        target_partitions=processors,
        **open_storage(settings).to_datafusion(settings.state / "service"),
    )
    return ProcessPool(options, engine_count(settings))
