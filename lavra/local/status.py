"""`lavra status`: what runs, how fresh the data is, what is released and what blocks the next.

It starts nothing: when our own catalog is down, what only the catalog knows is ``None``, and the
status says so.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import httpx

from lavra.errors import LavraError
from lavra.local.postgres_servers import server_pid
from lavra.local.processes import is_alive
from lavra.local.run_file import RunFile

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog
    from lavra.settings import Settings


def collect(settings: Settings) -> dict[str, Any]:
    """Return the state of everything, as plain data for JSON.

    Keys: ``project``; ``up`` (None when nothing runs); ``catalog``; ``streams``, ``releases`` and
    ``blocked`` (None when the catalog is down); ``writer`` (who plans or runs now); ``service``;
    ``superset``.
    """
    running = RunFile(settings.state).running()
    status: dict[str, Any] = {
        "project": str(settings.project),
        "lake": settings.resolved_lake_url,
        "up": None,
        "catalog": {"running": False, "detail": ""},
        "streams": None,
        "releases": None,
        "blocked": None,
        "writer": None,
    }
    if running:
        status["up"] = asdict(running)
        for process in status["up"]["processes"]:
            process["running"] = is_alive(process["pid"], process["created"])
    try:
        _ask_catalog(settings, status)
    except LavraError as error:
        status["catalog"] = {"running": False, "detail": error.message}
    status["service"] = service_state(
        running.service_url if running else settings.resolved_service_url,
        settings.service_headers,
    )
    superset_url = running.superset_url if running else superset_address(settings)
    status["superset"] = {
        "url": superset_url or None,
        "running": bool(superset_url) and _get(f"{superset_url}/health") is not None,
    }
    return status


def superset_address(settings: Settings) -> str:
    """Return where Superset is reached on this machine."""
    return f"http://{settings.superset_host}:{settings.superset_port}"


def service_state(url: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what the query service at ``url`` says of itself to who asks with these headers."""
    state: dict[str, Any] = {
        "url": url, "running": False, "ready": False,
        "snapshot": None, "data_through": None, "tables": None,
    }  # fmt: skip
    state["running"] = _get(f"{url}/healthz") is not None
    state["ready"] = state["running"] and _get(f"{url}/readyz") is not None
    snapshot = _get(f"{url}/v1/snapshot", headers) if state["ready"] else None
    if snapshot is not None:
        answer = snapshot.json()
        state |= {
            "snapshot": answer.get("id"),
            "data_through": answer.get("data_through"),
        }
        tables = _get(f"{url}/v1/tables", headers)
        state["tables"] = len(tables.json()["tables"]) if tables is not None else None
    return state


def _ask_catalog(settings: Settings, status: dict[str, Any]) -> None:
    if settings.catalog_is_embedded and server_pid(settings.state / "postgres") is None:
        status["catalog"]["detail"] = "not running; commands that need it start it"
        return
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.releases.rule import list_blocked  # noqa: PLC0415
    from lavra.releases.write_lock import holder  # noqa: PLC0415

    catalog = open_catalog(settings)
    try:
        status["catalog"] = {"running": True, "detail": repr(catalog)}
        status["writer"] = holder(catalog)
        status["streams"] = _streams(settings, catalog)
        with catalog.connect() as connection:
            status["releases"] = _releases(connection)
            status["blocked"] = list_blocked(connection)
    finally:
        if catalog.server:
            catalog.server.leave()


def _releases(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """The current release of each environment, without its tables' details."""
    from lavra.releases.store import current_release  # noqa: PLC0415

    rows = connection.execute("select distinct environment from lavra.release order by 1")
    found = [current_release(connection, name) for (name,) in rows.fetchall()]
    return [
        {
            "environment": release.environment,
            "id": release.id,
            "snapshot_id": release.snapshot_id,
            "created_at": release.created_at,
            "cause": release.cause,
            "git_commit": release.git_commit,
            "tables": len(release.tables),
            "data_through": release.data_through,
        }
        for release in found
        if release is not None
    ]


def _streams(settings: Settings, catalog: Catalog) -> list[dict[str, Any]]:
    from lavra.landing.connections import load_connections  # noqa: PLC0415
    from lavra.landing.status import stream_statuses  # noqa: PLC0415

    statuses = stream_statuses(catalog, load_connections(settings.project))
    return [
        asdict(one)
        | {
            "freshness_s": one.freshness.total_seconds() if one.freshness else None,
            "freshness_shown": one.freshness_shown,
            "last_run_shown": one.last_run_shown,
        }
        for one in statuses
    ]


def _get(url: str, headers: dict[str, str] | None = None) -> httpx.Response | None:
    try:
        answer = httpx.get(url, timeout=3, trust_env=False, headers=headers)
    except httpx.HTTPError:
        return None
    return answer if answer.is_success else None
