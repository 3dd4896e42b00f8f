"""The routes of the contract: decode, ask the service, encode."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from lavra.access.caller import LOOPBACK
from lavra.errors import InvalidRequest, NotReady, QueryCancelled, UnknownTable
from query_service.descriptions import describe_snapshot, describe_table, describe_tables
from query_service.openapi import GET_SQL_DOCS, SQL_DOCS
from query_service.releases import PRODUCTION
from query_service.requests import Accepted, SqlRequest, choose_format, from_query
from query_service.responses import AnswerResponse, disconnected
from query_service.service import Answer, QueryService, new_query_id, weak_match

router = APIRouter()

NO_STORE = {"Cache-Control": "no-store"}
_QUERY_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")

Environment = Annotated[str, Query(description="The SQLMesh environment.")]


@router.post("/v1/sql", **SQL_DOCS)
async def post_sql(request: Request) -> Response:
    """Run one statement that reads, and answer in the format that Accept asks for."""
    begin(request)
    try:
        body = SqlRequest.model_validate_json(await request.body())
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from error
    return await _run(request, body, choose_format(request.headers.get("accept", "")))


@router.get("/v1/sql", **GET_SQL_DOCS)
async def get_sql(request: Request) -> Response:
    """Do the same as POST, cacheable: an answer has an ETag unless the statement is volatile."""
    begin(request)
    try:
        body = from_query(request.query_params)
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from error
    accepted = choose_format(request.headers.get("accept", ""))
    etag = _service(request).etag(body, accepted)
    caching = {"ETag": etag, "Cache-Control": "private, no-cache"} if etag else NO_STORE
    if etag and weak_match(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=caching)
    response = await _run(request, body, accepted)
    response.headers.update(caching)
    return response


@router.get("/v1/queries")
async def list_queries(request: Request) -> dict[str, Any]:
    """List the queries that run or wait, and those that ended lately."""
    return _service(request).queries.describe()


@router.delete("/v1/queries/{query_id}", status_code=202)
async def cancel_query(request: Request, query_id: str) -> dict[str, Any]:
    """Cancel a query; `cancelled` is false when there is none of that id any more."""
    return {"query_id": query_id, "cancelled": await _service(request).cancel(query_id)}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Answer the metrics in Prometheus's text format."""
    return Response(_service(request).metrics(), media_type="text/plain; version=0.0.4")


@router.get("/v1/tables")
async def list_tables(request: Request, environment: Environment = PRODUCTION) -> dict[str, Any]:
    """List the tables of an environment's current release."""
    return describe_tables(_service(request).store.current(environment))


@router.get("/v1/tables/{schema}/{table}")
async def show_table(
    request: Request, schema: str, table: str, environment: Environment = PRODUCTION
) -> dict[str, Any]:
    """Describe one table: columns, grain, freshness, upstream, audits."""
    found = describe_table(_service(request).store.current(environment), f"{schema}.{table}")
    if found is None:
        raise UnknownTable(
            f"There is no table {schema}.{table}.", remedy="GET /v1/tables lists the tables."
        )
    return found


@router.get("/v1/snapshot")
async def show_snapshot(request: Request, environment: Environment = PRODUCTION) -> dict[str, Any]:
    """Describe the release that an environment's queries are answered from."""
    return describe_snapshot(_service(request).store.current(environment))


@router.post("/v1/refresh")
async def refresh(request: Request, environment: Environment = PRODUCTION) -> dict[str, Any]:
    """Look for new releases now, without waiting for the service to notice by itself."""
    store = _service(request).store
    changed = await store.refresh()
    return {"changed": changed, **describe_snapshot(store.current(environment))}


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer as long as the process is up."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, str]:
    """Answer 200 once a release is loaded."""
    if not _service(request).store.ready:
        raise NotReady("No release is loaded yet.", remedy="`sqlmesh plan` makes one.")
    return {"status": "ready"}


def begin(request: Request) -> None:
    """Give a request its query's id (its own, if it brings one) and its caller."""
    own = request.headers.get("x-lavra-query-id", "")
    if own and not _QUERY_ID.fullmatch(own):
        raise InvalidRequest(
            "X-Lavra-Query-Id is no id.", remedy="Use 8 to 64 letters, digits, - and _."
        )
    request.state.query_id = own or new_query_id()
    name = request.headers.get("x-lavra-caller", LOOPBACK.name)[:100]
    request.state.caller = replace(LOOPBACK, name=name)


def _service(request: Request) -> QueryService:
    service: QueryService = request.app.state.service
    return service


async def _run(request: Request, body: SqlRequest, accepted: Accepted) -> Response:
    answer = await _unless_disconnected(
        request,
        _service(request).answer(body, accepted, request.state.query_id, request.state.caller),
    )
    return AnswerResponse(answer, request.headers.get("accept-encoding", ""))


async def _unless_disconnected(request: Request, coroutine: Any) -> Answer:
    """Wait for an answer, and cancel it when the client goes away first."""
    work: asyncio.Task[Answer] = asyncio.ensure_future(coroutine)
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise QueryCancelled("The client went away.")
    finally:
        gone.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work})


def _explain(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc']) or 'body'}: {e['msg']}"
        for e in error.errors(include_url=False, include_input=False)
    )
