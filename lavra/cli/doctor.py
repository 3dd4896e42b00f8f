"""`lavra doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from lavra.cli.console import out, print_json


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)


def doctor(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False
) -> None:
    """Check this machine and this project; say what is wrong and what to do about it.

    Exits with 1 if something is so wrong that the lake cannot run.
    """
    from lavra.local.doctor import run_checks  # noqa: PLC0415

    signs = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[bold red]fail[/]"}
    found = []
    for check in run_checks():
        found.append(check)
        if as_json:
            continue
        out.print(
            f"{signs[check.level]} [bold]{escape(check.name)}[/]: {escape(check.detail)}",
            soft_wrap=True,
        )
        if check.remedy and check.level != "ok":
            out.print(f"     {escape(check.remedy)}", soft_wrap=True)
    if as_json:
        print_json([asdict(check) for check in found])
    if any(check.level == "fail" for check in found):
        raise typer.Exit(1)
