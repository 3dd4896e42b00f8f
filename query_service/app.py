"""The HTTP application, built from settings; nothing is created at import."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response

from lavra.catalog import open_catalog
from lavra.errors import InvalidRequest, LavraError, QueryError
from lavra.storage import open_storage
from query_service.access_log import AccessLog
from query_service.access_rules import open_access
from query_service.answers import Limits
from query_service.authentication import AuthenticationMiddleware, Authenticator
from query_service.cache.cold import ColdRule
from query_service.engine import build_engine, engine_count
from query_service.issuers import Issuers
from query_service.key_ring import KeyRing
from query_service.openapi import complete
from query_service.problems import problem_body, problem_response
from query_service.routes import router
from query_service.service import QueryService
from query_service.sql_routes import answer_sql, is_sql, sql_routes
from query_service.telemetry import Telemetry
from query_service.tracing import open_tracer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lavra.settings import Settings

logger = logging.getLogger("query_service")


def create_app(settings: Settings) -> FastAPI:
    """Return the application of one lake's query service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        catalog = await asyncio.to_thread(open_catalog, settings)
        storage = open_storage(settings)
        engine = build_engine(settings)
        folder = cache_folder(settings)
        limits = Limits(
            running=engine_count(settings),
            waiting=settings.service_max_waiting,
            timeout_s=settings.service_timeout_s,
            result_cache_bytes=settings.service_result_cache_mb * 1024 * 1024,
            cold=ColdRule(
                settings.service_cold_tables,
                settings.service_cache_mb * 1024 * 1024 or psutil.virtual_memory().total // 2,
            ),
        )
        telemetry = Telemetry(open_tracer(settings), show_sql=settings.log_sql)
        log = AccessLog(settings, catalog)
        ring, issuers = KeyRing(catalog), Issuers(settings)
        access = await asyncio.to_thread(open_access, settings, catalog, storage)
        service = QueryService(
            catalog, storage, folder, engine, limits,
            access=access, access_log=log, telemetry=telemetry,
        )  # fmt: skip
        await asyncio.to_thread(ring.start)
        log.start()
        await service.start()
        app.state.service, app.state.access_log = service, log
        app.state.authenticator = Authenticator(settings, ring, issuers)
        try:
            yield
        finally:
            await service.close()
            await issuers.close()
            await asyncio.to_thread(ring.stop)
            await asyncio.to_thread(log.stop)
            if catalog.server:
                await asyncio.to_thread(catalog.server.leave)

    app = _App(
        title="Lavra query service",
        description="SQL over HTTP on the released Gold tables of one lake. Read-only.",
        version="1",
        lifespan=lifespan,
        docs_url="/docs",
        redoc_url=None,
    )
    app.add_middleware(AuthenticationMiddleware)
    app.router.routes[:0] = sql_routes()
    app.include_router(router)
    app.add_exception_handler(LavraError, _on_lavra_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unforeseen)
    described = app.openapi
    app.openapi = lambda: complete(described())  # type: ignore[method-assign] # FastAPI's own way
    return app


class _App(FastAPI):
    """FastAPI, with a shorter way to ``/v1/sql``.

    What an application adds (middleware, error handlers) is on that way as well; FastAPI's own
    layers and its router, which cost more than a kept answer, are not.
    """

    _sql: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if not is_sql(scope):
            await super().__call__(scope, receive, send)
            return
        if self._sql is None:
            self._sql = self._build_sql()
        scope["app"] = self
        await self._sql(scope, receive, send)

    def _build_sql(self) -> ASGIApp:
        handlers = dict(self.exception_handlers)
        unforeseen = handlers.pop(Exception, None)
        app: ASGIApp = ExceptionMiddleware(answer_sql, handlers=handlers)
        for middleware, arguments, options in reversed(self.user_middleware):
            app = middleware(app, *arguments, **options)
        return ServerErrorMiddleware(app, handler=unforeseen)


def cache_folder(settings: Settings) -> Path:
    """Return where the segments are."""
    return settings.service_cache_dir or settings.state / "service" / "cache"


def _query_id(request: Request) -> str | None:
    return getattr(request.state, "query_id", None)


async def _on_lavra_error(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, LavraError) else LavraError(str(error))
    if not isinstance(known, QueryError):
        logger.error("%s: %s", known.code, known, extra={"query_id": _query_id(request)})
    return problem_response(known, _query_id(request))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    return problem_response(InvalidRequest(_explain(error)), _query_id(request))


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses (no such path, wrong method) in the same shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    body: dict[str, Any] = problem_body(InvalidRequest(str(error.detail)), _query_id(request))
    body |= {"status": error.status_code, "title": str(error.detail)}
    return Response(
        json.dumps(body).encode(),
        status_code=error.status_code,
        media_type="application/problem+json",
        headers=dict(error.headers or {}),
    )


async def _on_unforeseen(request: Request, error: Exception) -> Response:
    logger.error("unforeseen failure", exc_info=error, extra={"query_id": _query_id(request)})
    return problem_response(
        LavraError("Something unforeseen happened.", remedy="The log has it under the query's id."),
        _query_id(request),
    )


def _explain(error: Exception) -> str:
    if not isinstance(error, RequestValidationError):
        return str(error)
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()
    )
