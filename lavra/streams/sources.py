"""Finds a declared stream's source."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from lavra.errors import ConfigurationError
from lavra.landing.connections import PostgresConfig
from lavra.landing.references import unset
from lavra.landing.run import parse_config, postgres_conninfo

if TYPE_CHECKING:
    from lavra.settings import Settings
    from lavra.streams.declarations import StreamDeclaration
    from lavra.streams.source import StreamSource


def conninfo_of(settings: Settings, stream: StreamDeclaration) -> str:
    """Return how to reach a stream's Postgres, or the shipped workload's that stands in for it.

    Raises:
        ConfigurationError: the configuration is wrong, or refers to variables that are not set.
    """
    config = stream.source.given_config()
    missing = unset(config)
    if not missing and config:
        return postgres_conninfo(parse_config(PostgresConfig, f"Stream {stream.name}", config))
    if stream.source.workload is None:
        raise ConfigurationError(
            f"Stream {stream.name} refers to {', '.join(missing) or 'no config'}, not set here.",
            remedy="Set it in the environment, or give it a default: ${NAME:-default}.",
        )
    module = f"lavra.workloads.{stream.source.workload}.source"
    try:
        workload = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"Stream {stream.name}: there is no workload {stream.source.workload}."
        ) from error
    return str(workload.ensure_source(settings).url)


def open_source(settings: Settings, stream: StreamDeclaration) -> StreamSource:
    """Return a stream's source, not connected yet."""
    from lavra.streams.postgres.source import PostgresStreamSource  # noqa: PLC0415 - psycopg2

    return PostgresStreamSource(stream, conninfo_of(settings, stream), settings.name)
