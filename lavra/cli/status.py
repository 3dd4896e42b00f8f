"""`lavra status`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from lavra.cli.console import out, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(status)


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False
) -> None:
    """Show what runs, how fresh the data is, and what is released. Starts nothing."""
    from lavra.local.status import collect  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    found = collect(load_settings())
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        out.print(line, soft_wrap=True, markup=False)
    if found["streams"] is not None:
        out.print()
        _print_streams(found["streams"])


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"project   {found['project']}"
    yield f"lake      {found['lake']}"
    yield _up_line(found["up"])
    catalog = found["catalog"]
    yield f"catalog   {'running' if catalog['running'] else 'down'}: {catalog['detail']}"
    if found["writer"]:
        yield f"writer    {found['writer']}"
    yield _service_line(found["service"])
    superset = found["superset"]
    yield f"superset  {'running at ' + superset['url'] if superset['running'] else 'down'}"
    if found["releases"] is None:
        yield "releases  not known while the catalog is down"
    elif not found["releases"]:
        yield "releases  none yet: `sqlmesh -p sqlmesh_project plan` makes the first"
    for release in found["releases"] or []:
        yield (
            f"release   {release['environment']}: {release['id']} of "
            f"{release['created_at']:%Y-%m-%d %H:%M:%S} UTC, {release['tables']} tables, data "
            f"through {release['data_through'] or 'unknown'}"
        )
    for blocked in found["blocked"] or []:
        yield (
            f"blocked   {blocked['environment']}: {blocked['model']}: {blocked['reason']} "
            f"{blocked['remedy']}"
        )


def _up_line(up: dict[str, Any] | None) -> str:
    if up is None:
        return "lavra up  not running"
    programs = ", ".join(
        f"{process['name']} ({process['pid'] if process['running'] else 'dead'})"
        for process in up["processes"]
    )
    refresh = f"; refresh {up['refresh']}" if up["refresh"] else ""
    return f"lavra up  {up['phase']}, process {up['pid']}, programs: {programs}{refresh}"


def _service_line(service: dict[str, Any]) -> str:
    if not service["running"]:
        return f"service   down at {service['url']}"
    if not service["ready"]:
        return f"service   running at {service['url']}, nothing loaded yet"
    if service["snapshot"] is None:
        return f"service   ready at {service['url']}; a key would tell more (LAVRA_SERVICE_KEY)"
    return (
        f"service   running at {service['url']}: release {service['snapshot']}, "
        f"{service['tables']} tables, data through {service['data_through'] or 'unknown'}"
    )


def _print_streams(streams: list[dict[str, Any]]) -> None:
    from lavra.landing.schema_changes import change_text  # noqa: PLC0415

    print_table(
        ["stream", "landed", "rows", "fresh", "last run"],
        [
            (
                f"{one['namespace']}.{one['stream']}",
                f"{one['landed_at']:%Y-%m-%d %H:%M:%S} UTC" if one["landed_at"] else "never",
                f"{one['row_count']:,}",
                one["freshness_shown"],
                one["last_run_shown"],
            )
            for one in streams
        ],
        empty="No connection is declared.",
    )
    for one in streams:
        name = f"{one['namespace']}.{one['stream']}"
        if one["last_error"]:
            out.print(f"{name} failed: {one['last_error']}", markup=False, soft_wrap=True)
        for change in one["schema_changes"]:
            at = change["at"][:16].replace("T", " ")
            out.print(f"{name}: {change_text(change)}, {at} UTC", markup=False, soft_wrap=True)
