"""The query service without HTTP: takes a request, answers with bytes and what they are."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lavra.errors import LavraError, QueryTimeout
from query_service.descriptions import iso
from query_service.engine.jobs import Chunk, Event, Failed, Finished, Job, Started
from query_service.formats import MEDIA_TYPES
from query_service.problems import error_of
from query_service.watch import ReleaseWatcher

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from query_service.engine.base import Engine
    from query_service.release_store import LoadedRelease, ReleaseStore
    from query_service.requests import Accepted, SqlRequest

logger = logging.getLogger("query_service")

HELD_BYTES = 256 * 1024
"""An answer up to this size is complete before its status is sent, so its errors are honest."""


@dataclass
class Answer:
    """The answer to one query.

    Attributes:
        query_id: Its id.
        media_type: The format.
        headers: Those of the contract.
        body: All bytes, if the answer was short.
        stream: The bytes as they come, if it was not; it raises when the query fails midway.
    """

    query_id: str
    media_type: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    stream: AsyncIterator[bytes] | None = None


class QueryService:
    """Answers queries on releases; everything HTTP is elsewhere."""

    def __init__(
        self,
        catalog: Catalog,
        store: ReleaseStore,
        engine: Engine,
        *,
        default_timeout_s: float,
    ) -> None:
        self.store = store
        self._engine = engine
        self._default_timeout_s = default_timeout_s
        self._watcher = ReleaseWatcher(catalog, self._hear)
        self._heard: dict[str, int] = {}
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the engine and begin to follow releases; loading goes on behind."""
        await self._engine.start()
        self._following = asyncio.create_task(self._follow())
        self._watcher.start()

    async def close(self) -> None:
        """End every query and stop following."""
        await asyncio.to_thread(self._watcher.stop)
        if self._following:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await self._engine.close()
        await self.store.close()

    async def answer(self, request: SqlRequest, accepted: Accepted, query_id: str) -> Answer:
        """Run a query and answer as soon as it is known that the answer begins well.

        Raises:
            LavraError: the query failed; nothing was sent yet.
        """
        began = time.monotonic()
        resources = contextlib.AsyncExitStack()
        try:
            loaded = await resources.enter_async_context(
                self.store.use(request.environment, request.snapshot)
            )
            deadline = began + (request.timeout_s or self._default_timeout_s)
            events = self._engine.run(_job(request, accepted, query_id, loaded))
            await resources.enter_async_context(contextlib.aclosing(events))
            run = _Run(events, deadline)
            await run.read(HELD_BYTES)
            answer = Answer(query_id, MEDIA_TYPES[accepted.encoding])
            through = loaded.data_through(run.tables)
            answer.headers = {
                "X-Lavra-Query-Id": query_id,
                "X-Lavra-Snapshot": loaded.id,
                "X-Lavra-Data-Through": iso(through) or "",
                "X-Lavra-Cache": "miss",
                "Vary": "Accept",
            }
            envelope = _Envelope(accepted.encoding, query_id, loaded, through, began)
            if run.finished:
                answer.headers["X-Lavra-Row-Count"] = str(run.finished.row_count)
                answer.headers["X-Lavra-Truncated"] = json.dumps(run.finished.truncated)
                answer.body = b"".join((envelope.opening(), *run.held, envelope.closing()))
            else:
                answer.stream = _stream(run, envelope, resources.pop_all())
            return answer
        finally:
            await resources.aclose()

    def _hear(self, ids: dict[str, int]) -> None:
        """Take news from the watcher's thread."""

        def take() -> None:
            self._heard = ids
            self._news.set()

        with contextlib.suppress(RuntimeError):  # the loop has closed: the process is ending
            self._loop.call_soon_threadsafe(take)

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.store.follow(self._heard)
            except LavraError as error:
                logger.warning("following releases failed, trying again: %s", error)


class _Run:
    """Reads an engine's events under a deadline."""

    def __init__(self, events: AsyncGenerator[Event, None], deadline: float) -> None:
        self._events = events
        self._deadline = deadline
        self.held: list[bytes] = []
        self.tables: tuple[str, ...] = ()
        self.finished: Finished | None = None

    async def read(self, most_bytes: int) -> None:
        """Read until the end or until more than ``most_bytes`` are held.

        Raises:
            LavraError: the query failed or its time is up.
        """
        size = 0
        try:
            async with asyncio.timeout_at(self._loop_deadline()):
                async for event in self._events:
                    match event:
                        case Started(tables):
                            self.tables = tables
                        case Chunk(data):
                            self.held.append(data)
                            size += len(data)
                            if size > most_bytes:
                                return
                        case Finished():
                            self.finished = event
                            return
                        case Failed(code, message, remedy):
                            raise error_of(code, message, remedy)
        except TimeoutError as error:
            raise QueryTimeout(
                "The query ran past its time limit.",
                remedy="Ask for less, or for more time with timeout_s.",
            ) from error
        if not self.finished:
            raise LavraError("The engine stopped without an answer.")

    def take(self) -> bytes:
        """Return what is held and hold nothing."""
        taken = b"".join(self.held)
        self.held = []
        return taken

    def _loop_deadline(self) -> float:
        return asyncio.get_running_loop().time() + max(self._deadline - time.monotonic(), 0)


class _Envelope:
    """What surrounds an encoder's bytes; only JSON has any."""

    def __init__(
        self,
        encoding: str,
        query_id: str,
        loaded: LoadedRelease,
        through: dt.datetime | None,
        began: float,
        *,
        cached: bool = False,
    ) -> None:
        self._json = encoding == "json"
        self._query_id = query_id
        self._snapshot = {
            "id": loaded.id,
            "released_at": iso(loaded.release.created_at),
            "data_through": iso(through),
        }
        self._began = began
        self._cached = cached

    def opening(self) -> bytes:
        return f'{{"query_id":"{self._query_id}",'.encode() if self._json else b""

    def closing(self) -> bytes:
        if not self._json:
            return b""
        tail = {
            "snapshot": self._snapshot,
            "elapsed_ms": round((time.monotonic() - self._began) * 1000, 3),
            "cached": self._cached,
        }
        return b"," + json.dumps(tail, separators=(",", ":"))[1:].encode()


async def _stream(
    run: _Run, envelope: _Envelope, resources: contextlib.AsyncExitStack
) -> AsyncIterator[bytes]:
    async with resources:
        yield envelope.opening() + run.take()
        while not run.finished:
            await run.read(0)
            data = run.take()
            if data:
                yield data
        yield envelope.closing()


def _job(request: SqlRequest, accepted: Accepted, query_id: str, loaded: LoadedRelease) -> Job:
    return Job(
        query_id=query_id,
        release_file=str(loaded.file),
        sql=request.sql,
        parameters=request.parameters,
        row_limit=request.row_limit,
        encoding=accepted.encoding,
        string_views=accepted.string_views,
    )


def new_query_id() -> str:
    """Return an id for a query: 32 hexadecimal digits."""
    return uuid.uuid4().hex
