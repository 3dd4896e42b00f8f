"""`lavra init`: a lake of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lavra.cli.console import err, out


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("init")(init)


def init(
    *,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the project goes.")],
    csv: Annotated[
        list[Path] | None,
        typer.Option(
            "--csv", metavar="FILE", help="A CSV file to build the lake from; give it repeatedly."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The lake's name: a-z, 0-9 and _. Default: made from the folder's."),
    ] = None,
    time_zone: Annotated[
        str, typer.Option(help="Business time zone: daily tables are days of it.")
    ] = "UTC",
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Read the CSV files where they are; copy none.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Write into a folder that holds files; none is overwritten."),
    ] = False,
) -> None:
    """Write a new project: from CSV files to a dashboard, or from a small sample."""
    from lavra.scaffold import naming  # noqa: PLC0415 - reading CSV files takes PyArrow, slow
    from lavra.scaffold.project import plan_project  # noqa: PLC0415
    from lavra.scaffold.writing import check_folder, check_settings, write_project  # noqa: PLC0415

    lake = name or naming.project_name(folder.absolute().name)
    check_settings(lake, time_zone)
    check_folder(folder, force=force)
    files = csv or []
    for file in files:
        err.print(f"reading {file}", markup=False, soft_wrap=True)
    project = plan_project(files, name=lake, time_zone=time_zone, in_place=in_place)
    for path in write_project(project, folder):
        out.print(f"  {folder / path}", markup=False, soft_wrap=True)
    for plan in project.plans:
        key = f"key {', '.join(plan.key)}" if plan.key else "no key found"
        out.print(f"{plan.name}: {plan.profile.rows:,} rows, {key}", markup=False)
    copied = set(project.copies.values())
    for source in (plan.profile.path for plan in project.plans):
        if source not in copied:
            out.print(f"{source} is read where it is, not copied.", markup=False, soft_wrap=True)
    out.print(f"\nNext: cd {shlex.quote(str(folder))} && lavra up", markup=False, soft_wrap=True)
