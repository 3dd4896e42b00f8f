"""The routes of the contract: decode, ask the service, encode."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse

from lavra.errors import InvalidRequest, NotReady, QueryCancelled, UnknownTable
from query_service.descriptions import describe_snapshot, describe_table, describe_tables
from query_service.releases import DEFAULT_ENVIRONMENT
from query_service.requests import SqlRequest, choose_format
from query_service.service import Answer, QueryService, new_query_id

router = APIRouter()

Environment = Annotated[str, Query(description="The SQLMesh environment.")]


@router.post("/v1/sql")
async def post_sql(request: Request) -> Response:
    """Run one statement that reads, and answer in the format that Accept asks for."""
    request.state.query_id = new_query_id()
    try:
        body = SqlRequest.model_validate_json(await request.body())
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from error
    return await _run(request, body)


@router.get("/v1/tables")
async def list_tables(
    request: Request, environment: Environment = DEFAULT_ENVIRONMENT
) -> dict[str, Any]:
    """List the tables of an environment's current release."""
    return describe_tables(_service(request).store.current(environment))


@router.get("/v1/tables/{schema}/{table}")
async def show_table(
    request: Request, schema: str, table: str, environment: Environment = DEFAULT_ENVIRONMENT
) -> dict[str, Any]:
    """Describe one table: columns, grain, freshness, upstream, audits."""
    found = describe_table(_service(request).store.current(environment), f"{schema}.{table}")
    if found is None:
        raise UnknownTable(
            f"There is no table {schema}.{table}.", remedy="GET /v1/tables lists the tables."
        )
    return found


@router.get("/v1/snapshot")
async def show_snapshot(
    request: Request, environment: Environment = DEFAULT_ENVIRONMENT
) -> dict[str, Any]:
    """Describe the release that an environment's queries are answered from."""
    return describe_snapshot(_service(request).store.current(environment))


@router.post("/v1/refresh")
async def refresh(
    request: Request, environment: Environment = DEFAULT_ENVIRONMENT
) -> dict[str, Any]:
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


def _service(request: Request) -> QueryService:
    service: QueryService = request.app.state.service
    return service


async def _run(request: Request, body: SqlRequest) -> Response:
    accepted = choose_format(request.headers.get("accept", ""))
    answer = await _unless_disconnected(
        request, _service(request).answer(body, accepted, request.state.query_id)
    )
    if answer.body is not None:
        return Response(answer.body, media_type=answer.media_type, headers=answer.headers)
    assert answer.stream is not None  # noqa: S101 - one of the two is set
    return StreamingResponse(answer.stream, media_type=answer.media_type, headers=answer.headers)


async def _unless_disconnected(request: Request, coroutine: Any) -> Answer:
    """Wait for an answer, and cancel it when the client goes away first."""
    work: asyncio.Task[Answer] = asyncio.ensure_future(coroutine)
    gone = asyncio.ensure_future(request.receive())
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
