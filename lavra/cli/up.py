"""`lavra up` and `lavra down`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lavra.cli.console import err, out

if TYPE_CHECKING:
    from lavra.local.lake import UpOptions
    from lavra.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(up)
    app.command()(down)


def up(
    *,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", help="Return when all is ready; `lavra down` stops it."),
    ] = False,
    domain: Annotated[
        list[str] | None,
        typer.Option(help="Run this shipped domain's source (repeatable; default: lavra.toml's)."),
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Follow the streams too, and let sources change.")
    ] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0, max=10_000, help="Events a second that are made with --realtime."),
    ] = None,
    service_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the query service.")
    ] = None,
    superset_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of Superset.")
    ] = None,
    no_superset: Annotated[bool, typer.Option("--no-superset", help="Leave Superset out.")] = False,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the dashboards in the browser when ready.")
    ] = False,
    background: Annotated[bool, typer.Option("--background", hidden=True)] = False,
) -> None:
    """Run the whole lake on this machine, from its sources to its dashboards.

    Ctrl-C stops it and keeps the data; the next start is quick.
    """
    from lavra.local.lake import UpOptions  # noqa: PLC0415
    from lavra.local.progress import Display  # noqa: PLC0415
    from lavra.local.up import run, start_detached  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    ports: dict[str, Any] = {"service_port": service_port, "superset_port": superset_port}
    settings = load_settings(
        None, **{name: port for name, port in ports.items() if port is not None}
    )
    options = UpOptions(superset=not no_superset, domains=tuple(domain or settings.domains))
    if realtime:
        options = _followed(settings, options, rate)

    def browse(event: dict[str, Any]) -> None:
        if open_browser and event["type"] == "ready":
            typer.launch(event["superset_url"] or f"{event['service_url']}/docs")

    if background:
        run(settings, options, lambda _event: None)
        return
    with Display(err) as display:

        def observe(event: dict[str, Any]) -> None:
            display.handle(event)
            browse(event)

        if detach:
            arguments = _arguments(domain, service_port, superset_port, no_superset=no_superset)
            arguments += ["--realtime", "--rate", str(options.rate)] if realtime else []
            start_detached(settings, arguments, observe)
            err.print("It runs in the background: `lavra status` shows it, `lavra down` stops it.")
        elif not run(settings, options, observe):
            raise typer.Exit(130)


def down() -> None:
    """Stop what `lavra up` started, or clear what a killed one left. The data stays."""
    from lavra.local.up import stop  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    stopped = stop(load_settings())
    out.print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")


def _followed(settings: Settings, options: UpOptions, rate: float | None) -> UpOptions:
    """The same options with what the project's streams need."""
    from lavra.local.realtime import (  # noqa: PLC0415
        DEFAULT_RATE,
        has_generator,
        streamed_workloads,
    )

    workloads = streamed_workloads(settings)
    return replace(
        options,
        domains=tuple(dict.fromkeys((*options.domains, *workloads))),
        realtime=True,
        generators=tuple(filter(has_generator, workloads)),
        rate=(settings.generator_rate or DEFAULT_RATE) if rate is None else rate,
    )


def _arguments(
    domain: list[str] | None, service_port: int | None, superset_port: int | None, *,
    no_superset: bool,
) -> list[str]:  # fmt: skip
    """The same options again, for the process in the background."""
    arguments = [part for name in domain or [] for part in ("--domain", name)]
    if service_port:
        arguments += ["--service-port", str(service_port)]
    if superset_port:
        arguments += ["--superset-port", str(superset_port)]
    return [*arguments, "--no-superset"] if no_superset else arguments
