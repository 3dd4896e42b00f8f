"""Entry point of the `lavra` command line."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from lavra.cli import (
    access,
    dashboards,
    doctor,
    ingest,
    init,
    keys,
    release,
    serve,
    sql,
    status,
    stream,
    up,
    worker,
)
from lavra.cli.console import err, out
from lavra.errors import LavraError


def build_app() -> typer.Typer:
    """Return the command line with every command registered."""
    app = typer.Typer(
        name="lavra",
        help="BI as code on a medallion lake: sources, models, service and dashboards from git.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def root(
        show_version: Annotated[
            bool, typer.Option("--version", help="Print the version and exit.")
        ] = False,
    ) -> None:
        if show_version:
            out.print(version("lavra"))
            raise typer.Exit

    access.register(app)
    dashboards.register(app)
    doctor.register(app)
    ingest.register(app)
    init.register(app)
    keys.register(app)
    release.register(app)
    serve.register(app)
    sql.register(app)
    status.register(app)
    stream.register(app)
    up.register(app)
    worker.register(app)
    return app


def main() -> None:
    """Run the command line; a known failure exits with 1 and says what to do."""
    try:
        build_app()()
    except LavraError as error:
        err.print("[bold red]error:[/] ", end="")
        err.print(error.message, soft_wrap=True, markup=False)
        if error.remedy:
            err.print(f"  {error.remedy}", soft_wrap=True, markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
