"""The query service without HTTP: takes a request, answers with bytes and what they are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lavra.errors import InvalidRequest, LavraError, QueryCancelled
from query_service.access_record import AccessRecord
from query_service.access_rules import AccessRules
from query_service.admission import Admission
from query_service.answers import Answer, Limits
from query_service.engine.jobs import Finished, Job
from query_service.live import follow_live
from query_service.queries import QueryLog, QueryRecord
from query_service.quotas import Quotas
from query_service.release_store import LoadedRelease, ReleaseStore
from query_service.result_cache import Entry, ResultCache, key_of
from query_service.running import Envelope, Run, Stamp, out_of_time
from query_service.telemetry import Telemetry
from query_service.views import Views
from query_service.watch import release_watcher

if TYPE_CHECKING:
    from pathlib import Path

    from lavra.access.caller import Caller
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from query_service.access_log import AccessLog
    from query_service.engine.base import Engine
    from query_service.requests import Accepted, SqlRequest

logger = logging.getLogger("query_service")

HELD_BYTES = 1024 * 1024
"""An answer up to this size is complete before its status is sent, so its errors are honest."""


class QueryService:
    """Answers queries on releases; everything HTTP is elsewhere."""

    def __init__(
        self,
        catalog: Catalog,
        storage: LakeStorage,
        folder: Path,
        engine: Engine,
        limits: Limits,
        *,
        access_log: AccessLog,
        access: AccessRules,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._access_log = access_log
        self._engine = engine
        self._limits = limits
        self._cache = ResultCache(limits.result_cache_bytes)
        self._telemetry = telemetry or Telemetry()
        self._admission = Admission(limits.running, limits.waiting)
        self._flights: dict[str, asyncio.Future[Entry | None]] = {}
        self.queries = QueryLog()
        self.store = ReleaseStore(
            catalog, storage, folder, engine, self._on_releases, cold=limits.cold
        )
        self.views = Views(self.store, access, folder, AccessRecord(catalog, folder / "access-log"))
        self._access = access
        self._quotas = Quotas()
        self._watcher = release_watcher(catalog, self._hear)
        self._heard: dict[str, int] = {}
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the engine and begin to follow releases; loading goes on behind."""
        await self._engine.start()
        self._tasks = [asyncio.create_task(f) for f in (self._follow(), follow_live(self.store))]
        self._watcher.start()
        self._access.source.start()

    async def close(self) -> None:
        """End every query and stop following."""
        await asyncio.to_thread(self._watcher.stop)
        await self._access.source.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.close()
        await self.store.close()
        await self._telemetry.close()

    def etag(self, request: SqlRequest, accepted: Accepted, caller: Caller) -> str | None:
        """Return the answer's tag, known before the query runs; None if the answer may vary."""
        if request.is_volatile:
            return None
        release_id, rights = self.views.tag(caller, request.environment, request.snapshot)
        digest = hashlib.sha256(_key(release_id, rights, request, accepted).encode())
        return f'"{digest.hexdigest()[:40]}"'

    def metrics(self) -> bytes:
        """Return the text of ``/metrics``."""
        self._telemetry.tell()
        return self._telemetry.metrics.render(self.store, self._admission, self._cache)

    async def cancel(self, query_id: str, caller: Caller) -> bool:
        """End a caller's running or waiting query; return whether it has one of that id."""
        record = self.queries.running.get(query_id)
        if record is None or not record.belongs_to(caller):
            return False
        if record.waiter is not None:
            if not record.waiter.done():
                record.waiter.set_exception(QueryCancelled("The query was cancelled."))
        else:
            await self._engine.cancel(query_id)
        return True

    def not_modified(self, request: SqlRequest, record: QueryRecord) -> None:
        """Record that a caller was told that the answer it has is still right."""
        record.snapshot = request.snapshot or self.store.current(request.environment).id
        record.cached = True
        self._log(record, "not_modified")

    async def answer(self, request: SqlRequest, accepted: Accepted, record: QueryRecord) -> Answer:
        """Run a query and answer as soon as it is known that the answer begins well.

        Whatever comes of it is in the access log before the answer's last byte is sent.

        Raises:
            LavraError: the query failed; nothing was sent yet.
        """
        query_id = record.query_id
        if query_id in self.queries.running:
            raise InvalidRequest(f"A query with the id {query_id} is running already.")
        quota = self.views.quota(record.caller)
        if quota is None:
            known = self._known(request, accepted, record)
            if known:
                return known
        self.queries.begin(record)
        async with contextlib.AsyncExitStack() as resources:
            resources.push(lambda _, error, __: self._ended(record, error))
            sent = resources.enter_context(self._quotas.query(record.caller.identity, quota))
            resources.callback(lambda: sent(record.bytes_out))
            if request.snapshot:
                record.enter("load")
            seen = self.views.use(
                record.caller, request.environment, request.snapshot, request.names_record
            )
            loaded = await resources.enter_async_context(seen)
            record.snapshot = loaded.id
            timeout_s = request.timeout_s or self._limits.timeout_s
            timeout_s = min(timeout_s, (quota and quota.timeout_s) or timeout_s)
            deadline = self._loop.time() + timeout_s
            key = None
            if self._limits.result_cache_bytes and not request.is_volatile:
                key = _key(loaded.id, loaded.rights, request, accepted)
            query = _Query(request, accepted, record, loaded, deadline)
            entry = await self._kept(key, query) if key else None
            if entry:
                return self._from_entry(query, entry)
            return await self._fresh(query, key, resources)
        raise AssertionError("unreachable")

    def _known(self, request: SqlRequest, accepted: Accepted, record: QueryRecord) -> Answer | None:
        """Return the kept answer on the current release, which nothing has to be waited for."""
        loaded = self.views.held(record.caller, request.environment)
        if loaded is None or request.is_volatile or request.snapshot not in {None, loaded.id}:
            return None
        key = _key(loaded.id, loaded.rights, request, accepted)
        if key not in self._cache:
            return None
        entry = self._cache.get(key)
        assert entry is not None  # noqa: S101 - it is in there
        record.snapshot = loaded.id
        answer = self._from_entry(_Query(request, accepted, record, loaded, 0), entry)
        self._ended(record, None)
        return answer

    async def _kept(self, key: str, query: _Query) -> Entry | None:
        """Return the kept answer, waiting for an identical query if one runs now."""
        entry = self._cache.get(key)
        while entry is None and key in self._flights:
            flight = self._flights[key]
            waiter = self._follow_flight(flight)
            query.record.wait_for(waiter)
            try:
                async with asyncio.timeout_at(query.deadline):
                    await waiter
            except TimeoutError as error:
                raise out_of_time() from error
            finally:
                query.record.wait_for(None)
            entry = flight.result() if flight.done() and not flight.cancelled() else None
            if entry is None and key not in self._flights:
                break  # it failed, was cancelled, or is too large to keep: this one runs itself
        return entry

    def _follow_flight(self, flight: asyncio.Future[Entry | None]) -> asyncio.Future[None]:
        """Return a future of one query's own, done when the flight is."""
        waiter: asyncio.Future[None] = self._loop.create_future()

        def landed(_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        flight.add_done_callback(landed)
        return waiter

    async def _fresh(
        self, query: _Query, key: str | None, resources: contextlib.AsyncExitStack
    ) -> Answer:
        """Run a query in an engine."""
        flight: asyncio.Future[Entry | None] | None = None
        if key and key not in self._flights:
            flight = self._flights[key] = self._loop.create_future()
        query.record.enter("wait")
        try:
            turn = self._admission.turn(query.record.caller.identity, query.record.wait_for)
            try:
                async with asyncio.timeout_at(query.deadline):
                    await resources.enter_async_context(turn)
            except TimeoutError as error:
                raise out_of_time() from error
            query.record.enter("execute")
            events = self._engine.run(query.job())
            await resources.enter_async_context(contextlib.aclosing(events))
            run = Run(events, query.deadline)
            await run.read(HELD_BYTES)
            query.record.columns = run.columns
            query.record.enter("send")
            if not run.finished:
                answer = query.headed(run.tables, None, cached=False)
                # From here on the stream holds the release, the engine and the record.
                answer.stream = self._stream(run, query, resources.pop_all())
                return answer
            entry = Entry(
                query.loaded.id, run.take(), run.tables,
                run.finished.row_count, run.finished.truncated, run.columns,
            )  # fmt: skip
            if key:
                self._cache.put(key, entry)
            if flight:
                flight.set_result(entry)
            return query.whole(entry, cached=False)
        finally:
            if flight and key:
                del self._flights[key]
                if not flight.done():
                    flight.set_result(None)

    def _from_entry(self, query: _Query, entry: Entry) -> Answer:
        query.record.cached = True
        query.record.columns = entry.columns
        return query.whole(entry, cached=True)

    def _ended(self, record: QueryRecord, error: BaseException | None) -> bool:
        if error is None:
            self.queries.end(record, "finished")
        elif isinstance(error, QueryCancelled | asyncio.CancelledError | GeneratorExit):
            self.queries.end(record, "cancelled", QueryCancelled.code)
        else:
            code = error.code if isinstance(error, LavraError) else LavraError.code
            self.queries.end(record, "failed", code)
        self._log(record, record.state)
        self._telemetry.query_ended(record)
        return False

    def _log(self, record: QueryRecord, outcome: str) -> None:
        if not record.logged:
            self._access_log.add_query(record, outcome)
            record.logged = True

    async def _stream(
        self, run: Run, query: _Query, resources: contextlib.AsyncExitStack
    ) -> AsyncGenerator[bytes, None]:
        async with resources:
            record, envelope = query.record, query.envelope(run.tables)
            data = envelope.opening() + run.take()
            while not run.finished:
                record.bytes_out += len(data)
                yield data
                await run.read(0)
                data = run.take()
            last = data + envelope.closing()
            record.row_count = run.finished.row_count
            record.bytes_out += len(last)
            self._log(record, "finished")
            yield last

    def _on_releases(self, loaded: LoadedRelease | None, release_ids: set[str]) -> None:
        if loaded:
            self._telemetry.metrics.release_loaded(loaded)
        self._cache.keep_only(release_ids)
        self.views.releases_changed(release_ids)

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
            except Exception:  # whatever it is, later releases must still be served
                logger.exception("following releases failed, trying again")


@dataclass(frozen=True)
class _Query:
    """One request on the release that answers it."""

    request: SqlRequest
    accepted: Accepted
    record: QueryRecord
    loaded: LoadedRelease
    deadline: float

    def job(self) -> Job:
        return Job(
            query_id=self.record.query_id,
            release_file=str(self.loaded.file),
            sql=self.request.sql,
            parameters=self.request.parameters,
            row_limit=self.request.row_limit,
            encoding=self.accepted.encoding,
            string_views=self.accepted.string_views,
        )

    def headed(self, tables: tuple[str, ...], finished: Finished | None, *, cached: bool) -> Answer:
        self.record.tables = tables
        answer = Answer(self.record.query_id, self.accepted.encoding)
        answer.headers = {
            "X-Lavra-Query-Id": self.record.query_id,
            "X-Lavra-Snapshot": self.loaded.id,
            "X-Lavra-Data-Through": self.stamp(tables).through,
            "X-Lavra-Cache": "hit" if cached else "miss",
        }
        if finished:
            answer.headers["X-Lavra-Row-Count"] = str(finished.row_count)
            answer.headers["X-Lavra-Truncated"] = "true" if finished.truncated else "false"
        return answer

    def whole(self, entry: Entry, *, cached: bool) -> Answer:
        finished = Finished(entry.row_count, entry.truncated)
        answer = self.headed(entry.tables, finished, cached=cached)
        envelope = self.envelope(entry.tables, cached=cached)
        answer.body = b"".join((envelope.opening(), entry.data, envelope.closing()))
        self.record.row_count = entry.row_count
        self.record.bytes_out = len(answer.body)
        return answer

    def envelope(self, tables: tuple[str, ...], *, cached: bool = False) -> Envelope:
        return Envelope(
            self.accepted.encoding, self.record.query_id, self.stamp(tables),
            self.record.began, cached=cached,
        )  # fmt: skip

    def stamp(self, tables: tuple[str, ...]) -> Stamp:
        stamp = self.loaded.stamps.get(tables)
        if stamp is None:
            stamp = self.loaded.stamps[tables] = Stamp(self.loaded, tables)
        return stamp


def _key(release_id: str, rights: str, request: SqlRequest, accepted: Accepted) -> str:
    return key_of(
        release_id,
        request.identity,
        accepted.encoding,
        string_views=accepted.string_views,
        rights=rights,
    )


def new_query_id() -> str:
    """Return an id for a query: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def weak_match(if_none_match: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` header names this tag."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
