"""`lavra stream`: the streams that `airbyte/streams/` declares."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from lavra.cli.console import out, print_json, print_table

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[STREAM]...", help="Names of streams; all, if none.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(
        name="stream", help="Follow sources' changes, as airbyte/streams/ declares them.",
        no_args_is_help=True,
    )  # fmt: skip
    group.command("lint")(lint)
    group.command("schema")(schema)
    group.command("status")(status)
    group.command("teardown")(teardown)
    app.add_typer(group)


def lint(streams: Names = None) -> None:
    """Check the streams' files, offline. Exits with 1 if something is wrong."""
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.streams import declarations  # noqa: PLC0415

    problems = declarations.lint(load_settings().project, streams or ())
    for problem in problems:
        out.print(str(problem), soft_wrap=True, markup=False)
    if problems:
        raise typer.Exit(1)
    out.print("All streams are well formed.")


def schema() -> None:
    """Write the JSON schema of streams, by which editors complete them."""
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.streams.schema import write_schema  # noqa: PLC0415

    out.print(str(write_schema(load_settings().project)), markup=False, soft_wrap=True)


def status(streams: Names = None, as_json: AsJson = False) -> None:
    """Say how far each stream is behind its source, how fast it is, and what failed."""
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.streams.declarations import load_streams  # noqa: PLC0415
    from lavra.streams.status import read_status  # noqa: PLC0415

    settings = load_settings()
    found = read_status(
        settings, open_catalog(settings), load_streams(settings.project, streams or ())
    )
    if as_json:
        print_json([dataclasses.asdict(each) for each in found])
        return
    print_table(
        ("stream", "state", "lag s", "lag events", "events/s", "kept at source", "last commit",
         "quarantined", "error"),
        [
            (s.name, s.state, None if s.lag_seconds is None else f"{s.lag_seconds:.1f}",
             s.lag_events, f"{s.events_per_second:.0f}",
             None if s.retained_bytes is None
             else f"{s.retained_bytes / 1e6:.1f} MB" + (" (!)" if s.is_alarming else ""),
             s.last_commit.isoformat(" ", "seconds") if s.last_commit else None,
             s.quarantined, s.error)
            for s in found
        ],
        "airbyte/streams/ declares no stream.",
    )  # fmt: skip


def teardown(
    streams: Annotated[
        list[str] | None, typer.Argument(metavar="[STREAM]...", help="Names of streams.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are declared.")] = False,
) -> None:
    """Drop the streams' replication slots and publications at their sources; Bronze stays.

    Needed before a source's database is dropped. Safe to run twice.
    """
    if bool(streams) == every:
        raise typer.BadParameter("Name the streams, or give --all.")
    from lavra.settings import load_settings  # noqa: PLC0415
    from lavra.streams.declarations import load_streams  # noqa: PLC0415
    from lavra.streams.status import teardown as drop  # noqa: PLC0415

    settings = load_settings()
    for stream in load_streams(settings.project, streams or ()):
        dropped = drop(settings, stream)
        out.print(f"{stream.name}: {'dropped ' + ' and '.join(dropped) if dropped else 'nothing'}")
