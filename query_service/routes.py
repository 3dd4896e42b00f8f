"""The routes of the contract but ``/v1/sql``: decode, ask the service, encode."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lavra.errors import NotReady, UnknownTable
from query_service.descriptions import describe_snapshot, describe_table, describe_tables
from query_service.releases import PRODUCTION
from query_service.service import QueryService

router = APIRouter()

Environment = Annotated[str, Query(description="The SQLMesh environment.")]


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


def _service(request: Request) -> QueryService:
    service: QueryService = request.app.state.service
    return service
