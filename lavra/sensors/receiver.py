"""An HTTP service to which a bucket's events are pushed; what arrived is landed and modelled.

An event is answered once the catalog holds it, and acted upon by a thread of its own, a burst at
once. Whoever is killed in between leaves it to the next receiver.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from lavra.catalog.locks import RECEIVER_LOCK, advisory_lock
from lavra.errors import CatalogError, CatalogUnavailable, LavraError
from lavra.landing.connections import load_connections
from lavra.sensors.arrivals import Pending, Routes, handled, make_routes, pending, record
from lavra.sensors.events import parse_event

if TYPE_CHECKING:
    from lavra.sensors.watch import Watch

MOST_BYTES = 256 * 1024
"""A notification has about two thousand."""

_BODY_S = 10.0
_ROUTES_S = 10.0
_IDLE_S = 15.0
_RETRY_S, _RETRY_AT_MOST_S = 60.0, 3600.0
_JSON = ("application/json", "application/cloudevents+json")


class Senders(Protocol):
    """Who may send."""

    async def check(self, headers: Mapping[str, str], peer: str | None) -> None:
        """Raise a :class:`LavraError` unless the headers, or the peer's address, prove one."""

    async def close(self) -> None:
        """Close connections."""


@dataclass
class Receiver:
    """Takes events and acts on them.

    Args:
        watch: Lands connections and runs the models.
        settle_s: How long no further event must come before what arrived is landed ...
        settle_at_most_s: ... and after how long it is landed all the same.
    """

    watch: Watch
    settle_s: float = 5.0
    settle_at_most_s: float = 60.0
    _routes: Routes | None = None
    _routes_at: float = 0.0
    _retry_s: float = _RETRY_S
    _wake: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def accept(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep an event, if it is of an object that a connection depends on and is a new one.

        Raises:
            InvalidRequest: it is malformed.
            CatalogError: it cannot be kept now; it must be sent again.
        """
        event = parse_event(headers, body)
        if event is None:
            return False
        connections = self._known_routes().connections(event)
        is_new = bool(connections) and record(self.watch.catalog, event, connections)
        if is_new:
            self._wake.set()
        return is_new

    def run(self) -> None:
        """Act on what arrives until :meth:`stop`; for a thread."""
        wait_s = 0.0  # what a receiver before this one left
        while not self._stopped.is_set():
            self._wake.wait(wait_s)
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                wait_s = self.step()
            except LavraError as error:  # the catalog is away, a declaration is being edited
                self.watch.progress.trouble(error)
                wait_s = _IDLE_S

    def stop(self) -> None:
        """End :meth:`run` once what it does is done."""
        self._stopped.set()
        self._wake.set()

    def step(self, now: dt.datetime | None = None) -> float:
        """Land and model what arrived, if it is time; return the seconds until the next step.

        Raises:
            LavraError: the catalog is away, or a declaration is wrong.
        """
        found = pending(self.watch.catalog)
        if found is None:
            return _IDLE_S
        now = now or dt.datetime.now(dt.UTC)
        since, waited = (now - found.newest).total_seconds(), (now - found.oldest).total_seconds()
        if since < self.settle_s and waited < self.settle_at_most_s:
            return self.settle_s - since
        with ExitStack() as stack:
            try:
                stack.enter_context(advisory_lock(self.watch.catalog, RECEIVER_LOCK, timeout_s=0))
            except CatalogUnavailable:
                raise
            except CatalogError:  # another receiver acts
                return self.settle_s
            found = pending(self.watch.catalog)  # what it left
            return 0.0 if found is None else self._act(found)

    def _act(self, found: Pending) -> float:
        declared = {one.name for one in load_connections(self.watch.settings.project)}
        names = [name for name in found.connections if name in declared]
        results = self.watch.arrived(names) if names else []
        failed = {result.connection for result in results if result.error}
        running = self.watch.running & set(names)
        if self.watch.owes_models:
            failed |= set(names)
        done = set(found.connections) - failed - running
        handled(self.watch.catalog, {name: found.connections[name] for name in done})
        if failed:
            wait_s, self._retry_s = self._retry_s, min(self._retry_s * 2, _RETRY_AT_MOST_S)
            return wait_s
        self._retry_s = _RETRY_S
        return self.watch.settings.airbyte_poll_seconds if running else 0.0

    def _known_routes(self) -> Routes:
        if self._routes is None or time.monotonic() - self._routes_at > _ROUTES_S:
            settings = self.watch.settings
            self._routes = make_routes(settings, load_connections(settings.project))
            self._routes_at = time.monotonic()
        return self._routes


def create_app(receiver: Receiver, senders: Senders) -> FastAPI:
    """Return the service of a receiver.

    Args:
        receiver: Its :meth:`~Receiver.run` is started and stopped with the service.
        senders: Decides who may send; closed with the service.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        acting = threading.Thread(target=receiver.run, name="receiver", daemon=True)
        acting.start()
        yield
        receiver.stop()
        await run_in_threadpool(acting.join, 10)
        await senders.close()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/")
    async def receive(request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            await senders.check(headers, request.client.host if request.client else None)
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind not in _JSON:
                return _refused(415, "unsupported", f"Send {' or '.join(_JSON)}.")
            body = await asyncio.wait_for(_body(request), _BODY_S)
            if body is None:
                return _refused(413, "too_large", f"The body has more than {MOST_BYTES} bytes.")
            await run_in_threadpool(receiver.accept, headers, body)
        except TimeoutError:
            return _refused(408, "timeout", "The body did not come.")
        except LavraError as error:
            return _refused(error.status, error.code, error.message)
        return Response(status_code=204)

    return app


async def _body(request: Request) -> bytes | None:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _refused(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status)
