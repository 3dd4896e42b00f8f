"""Engine processes: one query at a time each, killed and replaced when a query must end.

DataFusion cannot stop an exploding join inside a process, so cancelling, running out of time and
running out of memory all end in the death of one engine. Its tables are mapped files, so nothing
is lost with it and nothing is copied into its successor; a warm spare takes its place at once.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from lavra.errors import LavraError, ProcessError, QueryCancelled, ResourcesExhausted
from query_service.engine.connection import EngineConnection
from query_service.engine.executor import ExecutorOptions
from query_service.engine.jobs import ENDS, Event, Failed, Job
from query_service.engine.memory import anonymous_bytes
from query_service.engine.worker import KeepOnly, Prepare, Ready
from query_service.engine.zygote_client import ZygoteClient

logger = logging.getLogger("query_service")

GUARD_S = 0.25
"""How often the engines' memory is looked at."""

BASE_BYTES = 512 * 1024 * 1024
"""What an engine may hold besides its query's pool: DataFusion does not count everything."""

IDLE_BYTES = 100 * 1024 * 1024
"""An idle engine that still holds more than this above what it began with is replaced."""

BUFFER_BYTES = 1024 * 1024
"""What may be under way between an engine and the front, so that neither waits for each piece."""

START_TIMEOUT_S = 120

FIRST_RETRY_S = 0.2
LAST_RETRY_S = 30.0
"""How long the pool waits after an engine that did not start, at first and at most."""


@dataclass(eq=False)
class _Worker:
    pid: int
    zygote: int | None
    connection: EngineConnection
    base_bytes: int = 0
    busy: bool = False
    over_memory: bool = False
    query_id: str | None = None
    cancelled: bool = False
    pending: KeepOnly | None = None


class ProcessPool:
    """A pool of engine processes and a warm spare.

    Args:
        options: Limits of each engine; its spill folder is a folder below theirs.
        count: Queries at once.

    Crash of an engine: its query fails, a new one is forked. Crash of the zygote: the same for
    all, under a new zygote. Kill of the front: the zygote ends itself and every engine.
    """

    def __init__(self, options: ExecutorOptions, count: int) -> None:
        self._options = options
        self._count = count
        self._slots = asyncio.Semaphore(count)
        self._idle: list[_Worker] = []  # the one used last is at the end: its memory is warm
        self._freed = asyncio.Event()
        self._workers: set[_Worker] = set()
        self._release_files: set[str] = set()
        self._zygote = ZygoteClient(options)
        self._replacing: set[asyncio.Task[None]] = set()
        self._guard: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Start the zygote and the engines.

        Raises:
            ProcessError: they do not start.
        """
        shutil.rmtree(self._options.spill_folder, ignore_errors=True)  # of a killed predecessor
        await asyncio.gather(*(self._add() for _ in range(self._count + 1)))
        self._guard = asyncio.create_task(self._guard_memory())

    async def close(self) -> None:
        """Kill every engine and the zygote."""
        self._closing = True
        if self._guard:
            self._guard.cancel()
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        for worker in self._workers:
            worker.connection.close()
        await self._zygote.close()
        shutil.rmtree(self._options.spill_folder, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        """The process ids of the engines."""
        return sorted(worker.pid for worker in self._workers)

    async def keep_only(self, release_files: set[str]) -> None:
        """Let go of every release but these; a busy engine does when its query ends."""
        self._release_files &= release_files
        message = KeepOnly(frozenset(release_files))
        for worker in self._workers:
            if worker.busy:
                worker.pending = message
            else:
                worker.connection.send(message)

    async def prepare(self, release_file: str) -> None:
        """Open a release in every engine that is free, and in those to come."""
        self._release_files.add(release_file)
        for worker in self._workers:
            if not worker.busy:
                worker.connection.send(Prepare(release_file))

    async def run(self, job: Job) -> AsyncGenerator[Event, None]:
        """Run a job in an engine; closing the generator early kills that engine."""
        async with self._slots:
            worker = await self._take()
            ended = False
            try:
                worker.query_id = job.query_id
                worker.connection.send(job)
                while (event := await worker.connection.next()) is not None:
                    ended = isinstance(event, ENDS)
                    if ended:
                        self._give_back(worker)
                    yield event
                    if ended:
                        return
                ended = True
                yield await self._died(worker)
            finally:
                if not ended:
                    self._replace(worker)

    async def cancel(self, query_id: str) -> None:
        """End a running query: its last event will be Failed with query_cancelled."""
        for worker in [w for w in self._workers if w.busy and w.query_id == query_id]:
            worker.cancelled = True
            await self._zygote.kill(worker.pid)

    async def _take(self) -> _Worker:
        while True:
            while not self._idle:
                self._freed.clear()
                await self._freed.wait()
            worker = self._idle.pop()
            worker.busy = True
            # With its parent it is about to die, though its connection may not say so yet.
            if not worker.connection.ended and worker.zygote == self._zygote.pid:
                return worker
            self._replace(worker)  # somebody killed it while it was idle

    def _give_back(self, worker: _Worker) -> None:
        if worker.over_memory or worker.cancelled:
            self._replace(worker)  # the end came just before the kill
            return
        worker.busy = False
        worker.query_id = None
        if worker.pending:
            worker.connection.send(worker.pending)
            worker.pending = None
        self._free(worker)

    def _free(self, worker: _Worker) -> None:
        self._idle.append(worker)
        self._freed.set()

    def _replace(self, worker: _Worker) -> asyncio.Future[int]:
        """Kill an engine in the background and start another; return its exit status to come."""
        status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def replace() -> None:
            try:
                status.set_result(await self._kill(worker))
            finally:
                if not status.done():
                    status.set_result(0)
            await self._add_in_the_end()

        if self._closing:
            status.set_result(0)
        else:
            task = asyncio.create_task(replace())
            self._replacing.add(task)
            task.add_done_callback(self._replacing.discard)
        return status

    async def _died(self, worker: _Worker) -> Failed:
        """Bury an engine that ended by itself or was killed by the guard; say why."""
        # A query that is given up meanwhile must not leave the pool without a successor.
        status = await asyncio.shield(self._replace(worker))
        if worker.cancelled:
            return Failed(QueryCancelled.code, "The query was cancelled.")
        if worker.over_memory or status in {-signal.SIGKILL, -signal.SIGABRT}:
            error: LavraError = ResourcesExhausted(
                "The query needed more memory than one query may use.",
                remedy="Filter or aggregate earlier, or join fewer rows.",
            )
        else:
            error = LavraError(f"The engine ended unexpectedly (status {status}).")
        logger.warning("engine %d died: %s", worker.pid, error.message)
        return Failed(error.code, error.message, error.remedy)

    async def _kill(self, worker: _Worker) -> int:
        """Kill an engine, free its spill files, and return its exit status."""
        self._workers.discard(worker)
        worker.connection.close()
        status = await self._zygote.kill(worker.pid)
        spilled = Path(self._options.spill_folder) / str(worker.pid)
        await asyncio.to_thread(shutil.rmtree, spilled, ignore_errors=True)
        return status

    async def _add_in_the_end(self) -> None:
        """Add an engine, however long what it needs (memory, descriptors) is not to be had."""
        wait_s = FIRST_RETRY_S
        while True:
            try:
                return await self._add()
            except (ProcessError, OSError) as error:  # TimeoutError is an OSError
                logger.warning("no new engine (%s); next try in %.1f s", error, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LAST_RETRY_S)

    async def _add(self) -> None:
        """Fork an engine and let it take jobs once it is warm.

        Raises:
            ProcessError: it does not start.
            OSError: the machine has no descriptor left for it, or it took too long.
        """
        ours, theirs = socket.socketpair()
        try:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            pid, zygote = await self._zygote.fork(theirs)
            _, connection = await asyncio.get_running_loop().create_unix_connection(
                EngineConnection, sock=ours
            )
        except BaseException:
            ours.close()  # upon which an engine that was forked ends
            raise
        finally:
            theirs.close()
        worker = _Worker(pid, zygote, connection)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                ready = isinstance(await connection.next(), Ready)
        except BaseException:
            await self._kill(worker)
            raise
        if not ready:
            raise ProcessError(f"The engine {pid} ended with {await self._kill(worker)} at once.")
        for release_file in sorted(self._release_files):
            worker.connection.send(Prepare(release_file))
        worker.base_bytes = anonymous_bytes(pid)
        self._workers.add(worker)
        self._free(worker)

    async def _guard_memory(self) -> None:
        """Kill the engine whose query holds more memory than it may.

        Replace idle ones as well, one at a time: allocators keep what a large query needed, and
        every engine runs one now and then.
        """
        most = self._options.memory_bytes + BASE_BYTES
        while True:
            await asyncio.sleep(GUARD_S)
            for worker in [w for w in self._workers if w.busy]:
                if anonymous_bytes(worker.pid) > most and not worker.over_memory:
                    worker.over_memory = True
                    await self._zygote.kill(worker.pid)
            for worker in list(self._idle):
                if anonymous_bytes(worker.pid) > worker.base_bytes + IDLE_BYTES:
                    self._idle.remove(worker)
                    self._replace(worker)
                    break
