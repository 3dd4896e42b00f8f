"""`lavra serve`: the query service in the foreground."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lavra.cli.console import err
from lavra.errors import ConfigurationError, ProcessError


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""

    @app.command()
    def serve(
        host: Annotated[
            str | None, typer.Option(help="Address to listen on; LAVRA_SERVICE_HOST by default.")
        ] = None,
        port: Annotated[
            int | None, typer.Option(help="Port to listen on; LAVRA_SERVICE_PORT by default.")
        ] = None,
    ) -> None:
        """Serve the released Gold tables over HTTP, until Ctrl-C."""
        from lavra.settings import load_settings  # noqa: PLC0415

        overrides: dict[str, Any] = {}
        if host is not None:
            overrides["service_host"] = host
        if port is not None:
            overrides["service_port"] = port
        settings = load_settings(**overrides)
        try:
            from query_service.lean_process import leave_pandas_out  # noqa: PLC0415

            leave_pandas_out()
            from query_service.server import run  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"The query service needs the package {error.name}.",
                remedy="Install it with: pip install 'lavra[service]'",
            ) from error
        scheme = "https" if settings.service_tls_certificate else "http"
        err.print(
            f"Lavra's query service: {scheme}://{settings.service_host}:{settings.service_port}"
        )
        if settings.service_allow_loopback:
            err.print("Programs on this machine may ask without a key.")
        if not run(settings):
            raise ProcessError("The query service did not start.", remedy="The log says why.")
