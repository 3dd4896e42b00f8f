"""Where queries run: the statement rules, DataFusion, and the processes around it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from query_service.engine.base import Engine, InProcessEngine
from query_service.engine.executor import ExecutorOptions

if TYPE_CHECKING:
    from lavra.settings import Settings

__all__ = ["Engine", "build_engine"]


def build_engine(settings: Settings) -> Engine:
    """Return the engine that the settings ask for."""
    processors = os.cpu_count() or 1
    count = settings.service_engines or max(processors, 2)
    options = ExecutorOptions(
        memory_bytes=settings.service_query_memory_mb * 1024 * 1024,
        spill_folder=str(settings.state / "service" / "spill"),
        target_partitions=processors,
    )
    return InProcessEngine(options, count)
