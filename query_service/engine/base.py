"""What the front asks of an engine, whatever it is made of."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator
from typing import Protocol

from query_service.engine.executor import Executor, ExecutorOptions
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

    async def keep_only(self, release_files: set[str]) -> None:
        """Let go of every release but these."""
        ...

    async def prepare(self, release_file: str) -> None:
        """Open a release ahead of its first query."""
        ...


class InProcessEngine:
    """Engines as threads of this process, for tests and embedding.

    It cannot end a runaway query: a cancelled one goes on until DataFusion next yields a batch.
    """

    def __init__(self, options: ExecutorOptions, count: int) -> None:
        self._executors = [Executor(options) for _ in range(count)]
        self._free: asyncio.Queue[Executor] = asyncio.Queue()

    async def start(self) -> None:
        """Be ready to run jobs."""
        for executor in self._executors:
            self._free.put_nowait(executor)

    async def close(self) -> None:
        """Wait for the running queries to end."""
        for _ in self._executors:
            await self._free.get()

    async def keep_only(self, release_files: set[str]) -> None:
        """Let go of every release but these, in each engine that is free."""
        for _ in range(self._free.qsize()):
            executor = self._free.get_nowait()
            executor.keep_only(release_files)
            self._free.put_nowait(executor)

    async def prepare(self, release_file: str) -> None:
        """Open a release ahead of its first query, in each engine that is free."""
        for _ in range(self._free.qsize()):
            executor = self._free.get_nowait()
            executor.prepare(release_file)
            self._free.put_nowait(executor)

    async def run(self, job: Job) -> AsyncGenerator[Event, None]:
        """Run a job in a thread."""
        executor = await self._free.get()
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue(maxsize=4)
        stopped = threading.Event()

        def work() -> None:
            stream = executor.run(job)
            with contextlib.closing(stream):  # type: ignore[type-var]
                for event in stream:
                    if stopped.is_set():
                        break
                    asyncio.run_coroutine_threadsafe(events.put(event), loop).result()
            asyncio.run_coroutine_threadsafe(events.put(None), loop).result()

        task = asyncio.create_task(asyncio.to_thread(work))

        async def drain() -> None:
            while not task.done():  # a thread that waits to hand over an event must get on
                taking = asyncio.ensure_future(events.get())
                await asyncio.wait({task, taking}, return_when=asyncio.FIRST_COMPLETED)
                taking.cancel()
            self._free.put_nowait(executor)

        try:
            while (event := await events.get()) is not None:
                yield event
        finally:
            stopped.set()
            await asyncio.shield(drain())
