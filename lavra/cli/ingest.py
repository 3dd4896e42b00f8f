"""`lavra ingest`: land the sources that `airbyte/connections/` declares."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavra.cli import airbyte, receive
from lavra.cli.console import out, print_json, print_table
from lavra.cli.ingest_progress import Progress, size_text
from lavra.errors import ConfigurationError, LavraError

if TYPE_CHECKING:
    from lavra.landing.run import StreamResult

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[CONNECTION]...", help="Names of connections.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(
        name="ingest", help="Land sources in Bronze, as airbyte/connections/ declares them.",
        no_args_is_help=True,
    )  # fmt: skip
    group.command("run")(run)
    group.command("lint")(lint)
    group.command("status")(status)
    group.command("schema")(schema)
    group.command("watch")(watch)
    group.command("receive")(receive.receive)
    group.command("compact")(compact)
    airbyte.register(group)
    app.add_typer(group)


def run(  # noqa: PLR0917 - its options
    connections: Names = None,
    all_: Annotated[bool, typer.Option("--all", help="Land every connection.")] = False,
    stream: Annotated[
        list[str] | None, typer.Option("--stream", help="Only this stream; may be repeated.")
    ] = None,
    full_refresh: Annotated[
        bool,
        typer.Option("--full-refresh", help="Read from the start, into a new generation."),
    ] = False,
    here: Annotated[
        bool,
        typer.Option("--here", help="Read on this machine even what a real Airbyte is to land."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Land connections in Bronze. Exits with 1 if a stream failed; the others have landed."""
    if bool(connections) == all_:
        raise ConfigurationError(
            "Name the connections to land, or say --all.",
            remedy="`lavra ingest status` lists them.",
        )
    from lavra.airbyte.run import land_connection  # noqa: PLC0415
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.landing.connections import load_connections  # noqa: PLC0415
    from lavra.landing.housekeeping import tidy  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.storage import open_storage  # noqa: PLC0415

    settings = load_settings()
    declared = load_connections(settings.project, connections or ())
    if not declared:
        raise ConfigurationError(
            f"There is no connection in {settings.project / 'airbyte' / 'connections'}.",
            remedy="docs/ingestion.md shows how to write one.",
        )
    catalog, storage = open_catalog(settings), open_storage(settings)
    results: list[StreamResult] = []
    for connection in declared:
        results += land_connection(
            settings, catalog, storage, connection, Progress(),
            streams=stream or (), full_refresh=full_refresh, here=here,
        )  # fmt: skip
    for connection in declared:
        tidy(settings, catalog, storage, connection)
    if as_json:
        print_json([dataclasses.asdict(result) for result in results])
    if any(result.error for result in results):
        raise typer.Exit(1)


def lint(connections: Names = None, as_json: AsJson = False) -> None:
    """Check the connections' files, offline. Exits with 1 if something is wrong."""
    from lavra.landing.lint import lint as find_problems  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    problems = find_problems(load_settings().project, connections or ())
    if as_json:
        print_json([{"message": p.message, "remedy": p.remedy} for p in problems])
    else:
        for problem in problems:
            out.print(problem.message, soft_wrap=True, markup=False)
            if problem.remedy:
                out.print(f"  {problem.remedy}", soft_wrap=True, markup=False)
        if not problems:
            out.print("All connections are well formed.")
    if problems:
        raise typer.Exit(1)


def status(connections: Names = None, as_json: AsJson = False) -> None:
    """Say what has landed, when, and whether it is as fresh as declared."""
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.landing.connections import load_connections  # noqa: PLC0415
    from lavra.landing.status import stream_statuses  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    declared = load_connections(settings.project, connections or ())
    statuses = stream_statuses(open_catalog(settings), declared)
    if as_json:
        print_json([_plain(dataclasses.asdict(one)) for one in statuses])
        return
    print_table(
        ["stream", "mode", "landed (UTC)", "rows", "size", "fresh", "last run"],
        [
            (
                f"{one.namespace}.{one.stream}", one.sync_mode,
                f"{one.landed_at.astimezone(dt.UTC):%Y-%m-%d %H:%M}" if one.landed_at else "never",
                f"{one.row_count:,}", size_text(one.bytes),
                one.freshness_shown, one.last_run_shown,
            )
            for one in statuses
        ],
        empty="No connection is declared.",
    )  # fmt: skip
    for one in statuses:
        if one.last_error:
            out.print(f"{one.namespace}.{one.stream} failed: {one.last_error}",
                      markup=False, soft_wrap=True)  # fmt: skip


def schema() -> None:
    """Write the JSON schema of connections, by which editors complete them."""
    from lavra.landing.schema import write_schema  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    out.print(str(write_schema(load_settings().project)), markup=False, soft_wrap=True)


def compact(connections: Names = None, as_json: AsJson = False) -> None:
    """Write small files of Bronze as large ones, and remove what is past its retention.

    Readers are not disturbed; what releases or a running model need stays.
    """
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.landing.connections import load_connections  # noqa: PLC0415
    from lavra.landing.housekeeping import tidy  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.storage import open_storage  # noqa: PLC0415

    settings = load_settings()
    catalog, storage = open_catalog(settings), open_storage(settings)
    done = [
        result
        for connection in load_connections(settings.project, connections or ())
        for result in tidy(settings, catalog, storage, connection, compact_from=2)
    ]
    if as_json:
        print_json([dataclasses.asdict(result) for result in done])
        return
    print_table(
        ["stream", "small files", "written as", "expired", "deleted"],
        [
            (f"{one.namespace}.{one.stream}", one.compacted, one.written, one.expired, one.deleted)
            for one in done
        ],
        empty="No connection is declared.",
    )


def watch(
    connections: Names = None,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")
    ] = 15.0,
    once: Annotated[
        bool, typer.Option("--once", help="Take one look; exits with 1 if a stream failed.")
    ] = False,
    models: Annotated[
        bool, typer.Option("--models/--no-models", help="Whether to run the models that are due.")
    ] = True,
) -> None:
    """Land what is due, enter what arrived, and run the models that depend on it; Ctrl-C ends it.

    Due is what a schedule says, and a connection without one whose files, here or in a bucket,
    changed. What a real Airbyte landed is entered when its job is over.
    """
    import functools  # noqa: PLC0415
    import time  # noqa: PLC0415

    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.sensors.models import run_models  # noqa: PLC0415
    from lavra.sensors.watch import Watch  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.storage import open_storage  # noqa: PLC0415

    settings = load_settings()
    runs = functools.partial(run_models, settings) if models else None
    progress = Progress()
    watching = Watch(
        settings, open_catalog(settings), open_storage(settings), progress, runs,
        tuple(connections or ()),
    )  # fmt: skip
    if once:
        results = watching.look()
        if progress.troubles or any(result.error for result in results):
            raise typer.Exit(1)
        return
    while True:
        try:
            watching.look()
        except LavraError as error:  # the catalog is away, a declaration is being edited
            progress.trouble(error)
        time.sleep(interval)


def _plain(status_row: dict[str, Any]) -> dict[str, Any]:
    freshness = status_row["freshness"]
    return status_row | {"freshness": freshness.total_seconds() if freshness else None}
