"""The routes of the contract but ``/v1/sql``: decode, ask the service, encode."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import PlainTextResponse, Response

from lavra.access import record
from lavra.access.caller import ADMIN_ROLE, METRICS_ROLE, Caller
from lavra.errors import Forbidden, NotReady, UnknownTable
from query_service.descriptions import (
    describe_environments,
    describe_snapshot,
    describe_table,
    describe_tables,
)
from query_service.documents import (
    Cancelled,
    Document,
    Environments,
    Queries,
    Refreshed,
    Snapshot,
    Status,
    Table,
    Tables,
)
from query_service.openapi import GUARDED, OF_QUERY, OF_READINESS, OF_REFRESH, OF_RELEASE, OF_TABLE
from query_service.release_store import LoadedRelease
from query_service.releases import PRODUCTION
from query_service.service import QueryService

router = APIRouter()

Environment = Annotated[str, Query(description="The SQLMesh environment.", examples=["prod"])]
PROMETHEUS = "text/plain; version=0.0.4"


def _documented(
    model: type[Document], failures: dict[int | str, Any], tag: str, status: int = 200
) -> dict[str, Any]:
    """Return a route's documentation; the route builds its document by itself."""
    return {
        "response_model": None,
        "responses": {status: {"model": model}, **failures},
        "status_code": status,
        "tags": [tag],
    }


@router.get("/v1/queries", **_documented(Queries, GUARDED, "queries"))
async def list_queries(request: Request) -> dict[str, Any]:
    """List one's own queries that run, wait or ended lately; an administrator sees all."""
    return _service(request).queries.describe(_caller(request))


@router.delete("/v1/queries/{query_id}", **_documented(Cancelled, OF_QUERY, "queries", status=202))
async def cancel_query(request: Request, query_id: str) -> dict[str, Any]:
    """Cancel one's own query; `cancelled` is false when one has none of that id (any more)."""
    cancelled = await _service(request).cancel(query_id, _caller(request))
    return {"query_id": query_id, "cancelled": cancelled}


@router.get(
    "/metrics",
    tags=["operation"],
    response_class=PlainTextResponse,
    responses={
        200: {
            "description": "Prometheus's text format.",
            "content": {"text/plain": {"example": "lavra_queries_running 0.0\n"}},
        },
        **GUARDED,
    },
)
async def metrics(request: Request) -> Response:
    """Answer the metrics in Prometheus's text format: they name every table."""
    if not _caller(request).roles & {ADMIN_ROLE, METRICS_ROLE}:
        raise Forbidden(
            "The metrics are for administrators.",
            remedy=f"`lavra keys create NAME --role {METRICS_ROLE}` makes a key that reads them.",
        )
    return Response(_service(request).metrics(), media_type=PROMETHEUS)


@router.get("/v1/tables", **_documented(Tables, OF_RELEASE, "tables"))
async def list_tables(request: Request, environment: Environment = PRODUCTION) -> dict[str, Any]:
    """List the tables of an environment's current release."""
    return describe_tables(await _seen(request, environment))


@router.get(
    "/v1/tables/{schema}/{table}",
    **_documented(Table, OF_TABLE, "tables"),
)
async def show_table(
    request: Request, schema: str, table: str, environment: Environment = PRODUCTION
) -> dict[str, Any]:
    """Describe one table: columns, grain, freshness, upstream, audits."""
    name = f"{schema}.{table}"
    found = describe_table(await _seen(request, environment, name == record.NAME), name)
    if found is None:
        raise UnknownTable(
            f"There is no table {schema}.{table}.", remedy="GET /v1/tables lists the tables."
        )
    return found


@router.get("/v1/snapshot", **_documented(Snapshot, OF_RELEASE, "releases"))
async def show_snapshot(request: Request, environment: Environment = PRODUCTION) -> dict[str, Any]:
    """Describe the release that an environment's queries are answered from."""
    return describe_snapshot(await _seen(request, environment))


@router.get("/v1/environments", **_documented(Environments, GUARDED, "releases"))
async def list_environments(request: Request) -> dict[str, Any]:
    """List the environments that have a release, and so can be named in a query."""
    views, caller = _service(request).views, _caller(request)
    return describe_environments(
        {
            name: await views.current(caller, name) if loaded else None
            for name, loaded in views.environments(caller).items()
        }
    )


@router.post("/v1/refresh", **_documented(Refreshed, OF_REFRESH, "releases"))
async def refresh(request: Request, environment: Environment = PRODUCTION) -> dict[str, Any]:
    """Look for new releases now, without waiting for the service to notice by itself."""
    service = _service(request)
    service.views.check(_caller(request), environment)
    changed = await service.store.refresh()
    return {"changed": changed, **describe_snapshot(await _seen(request, environment))}


@router.get("/healthz", **_documented(Status, {}, "operation"))
async def healthz() -> dict[str, str]:
    """Answer as long as the process is up."""
    return {"status": "ok"}


@router.get("/readyz", **_documented(Status, OF_READINESS, "operation"))
async def readyz(request: Request) -> dict[str, str]:
    """Answer 200 once a release is loaded."""
    if not _service(request).store.ready:
        raise NotReady("No release is loaded yet.", remedy="`sqlmesh plan` makes one.")
    return {"status": "ready"}


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


async def _seen(request: Request, environment: str, with_record: bool = False) -> LoadedRelease:
    """Return what the caller may see of an environment's current release."""
    views = _service(request).views
    return await views.current(_caller(request), environment, with_record=with_record)


def _service(request: Request) -> QueryService:
    service: QueryService = request.app.state.service
    return service
