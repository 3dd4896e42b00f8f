"""What the front asks of an engine, whatever it is made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from query_service.engine.jobs import Event, Job


class Engine(Protocol):
    """Runs jobs, several at once."""

    async def start(self) -> None:
        """Be ready to run jobs."""
        ...

    async def close(self) -> None:
        """End every query and free everything."""
        ...

    def run(self, job: Job) -> AsyncGenerator[Event, None]:
        """Run a job. The last event is Finished or Failed; closing the generator cancels."""
        ...

    async def cancel(self, query_id: str) -> None:
        """End a running query; its last event says that it was cancelled."""
        ...

    async def keep_only(self, release_files: set[str]) -> None:
        """Let go of every release but these."""
        ...

    async def prepare(self, release_file: str) -> None:
        """Open a release ahead of its first query."""
        ...
