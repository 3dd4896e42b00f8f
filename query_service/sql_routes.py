"""``/v1/sql``: decode, ask the service, encode, with as little as possible in between."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.responses import Response

from lavra.access.keys import without_secrets
from lavra.errors import InvalidRequest
from query_service.openapi import GET_SQL_DOCS, SQL_DOCS
from query_service.queries import QueryRecord
from query_service.requests import (
    Accepted,
    SqlRequest,
    choose_format,
    from_body,
    from_query_string,
)
from query_service.responses import AnswerResponse, ClientWatch
from query_service.service import QueryService, new_query_id, weak_match
from query_service.tracing import TRACE_PARENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

NO_STORE = {"Cache-Control": "no-store"}
_QUERY_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


PATH = "/v1/sql"


def is_sql(scope: Scope) -> bool:
    """Whether a request is for :func:`answer_sql`."""
    return scope["type"] == "http" and scope["path"] == PATH and scope["method"] in {"GET", "POST"}


async def answer_sql(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request as an ASGI application."""
    request = Request(scope, receive, send)
    response = await (post_sql if scope["method"] == "POST" else get_sql)(request)
    await response(scope, receive, send)


class SqlRoute(APIRoute):
    """A route that FastAPI documents but does not run: solving dependencies costs 60 us.

    Dependencies therefore do not apply; the application's middleware does.
    """

    def __init__(
        self, endpoint: Callable[[Request], Awaitable[ASGIApp]], method: str, **options: Any
    ) -> None:
        super().__init__(PATH, endpoint, methods=[method], **options)
        self.app = answer_sql


def sql_routes() -> list[SqlRoute]:
    """Return the routes, to be put before all others."""
    return [
        SqlRoute(post_sql, "POST", **SQL_DOCS),
        SqlRoute(get_sql, "GET", **GET_SQL_DOCS),
    ]


async def post_sql(request: Request) -> ASGIApp:
    """Run one statement that reads, and answer in the format that Accept asks for."""
    begin(request)
    try:
        body = from_body(await request.body())
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from error
    return await _run(request, body, choose_format(_headers(request).get("accept", "")), {})


async def get_sql(request: Request) -> ASGIApp:
    """Do the same as POST, cacheable: an answer has an ETag unless the statement is volatile."""
    begin(request)
    try:
        body = from_query_string(request.scope["query_string"])
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from error
    accepted = choose_format(_headers(request).get("accept", ""))
    service, caller = _service(request), request.state.caller
    etag = service.etag(body, accepted, caller)
    caching = {"ETag": etag, "Cache-Control": "private, no-cache"} if etag else NO_STORE
    if etag and weak_match(_headers(request).get("if-none-match", ""), etag):
        service.not_modified(body, _record(request, body, accepted))
        return Response(status_code=304, headers=caching)
    return await _run(request, body, accepted, caching)


def begin(request: Request) -> None:
    """Give a request its query's id: its own, if it brings one."""
    headers = _headers(request)
    own = headers.get("x-lavra-query-id")
    if own is not None and not _QUERY_ID.fullmatch(own):
        raise InvalidRequest(
            "X-Lavra-Query-Id is no id.", remedy="Use 8 to 64 letters, digits, - and _."
        )
    request.state.query_id = own or new_query_id()
    TRACE_PARENT.set(headers.get("traceparent"))


def _headers(request: Request) -> dict[str, str]:
    """Return the headers by their names in small letters; of those that repeat, the last."""
    state = request.state
    if not hasattr(state, "headers"):
        state.headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.scope["headers"]
        }
    headers: dict[str, str] = state.headers
    return headers


def _service(request: Request) -> QueryService:
    service: QueryService = request.app.state.service
    return service


def _record(request: Request, body: SqlRequest, accepted: Accepted) -> QueryRecord:
    state = request.state
    return QueryRecord(
        state.query_id, without_secrets(body.sql), body.environment, state.caller,
        accepted.encoding, client=state.client,
    )  # fmt: skip


async def _run(
    request: Request, body: SqlRequest, accepted: Accepted, headers: dict[str, str]
) -> ASGIApp:
    record = _record(request, body, accepted)
    async with ClientWatch(request.receive):
        answer = await _service(request).answer(body, accepted, record)
    answer.headers.update(headers)
    return AnswerResponse(answer, _headers(request).get("accept-encoding", ""))


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc']) or 'body'}: {e['msg']}"
        for e in error.errors(include_url=False, include_input=False)
    )
