"""The SQLMesh configuration of a lake: a project's ``config.py`` is one call of this."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmesh.core.config import Config, GatewayConfig, LinterConfig, ModelDefaultsConfig
from sqlmesh.core.config.connection import DuckDBConnectionConfig
from sqlmesh.core.config.format import FormatConfig
from sqlmesh.core.constants import IGNORE_PATTERNS

from lavra.catalog.catalog import SQLMESH_SCHEMA
from lavra.modeling.connections import LakeConnectionConfig, StateConnectionConfig
from lavra.modeling.context import LakeLoader
from lavra.modeling.lake import activate
from lavra.modeling.linter import RULE_NAMES
from lavra.settings import find_project, load_settings

if TYPE_CHECKING:
    from lavra.settings import Settings

_FOLDERS = ("models/bronze", "models/silver", "models/gold", "tests")
"""Folders of a project that have one for each domain."""


def project_config(project_root: Path | str, *, start: str = "2024-01-01") -> Config:
    """Return the configuration of the SQLMesh project in ``project_root``.

    Nothing is started: the catalog comes up at the first statement that needs it.

    Args:
        project_root: The folder of ``config.py``; the ``lavra.toml`` in it or above it applies.
        start: First day of the models that do not say otherwise.

    Raises:
        ConfigurationError: there is no ``lavra.toml``, or a setting is wrong, or the gateway that
            is asked for is not installed.
    """
    # Read by SQLMesh when it is imported, too early for a process that is not `sqlmesh`; the
    # configuration's own switch below serves those.
    os.environ.setdefault("SQLMESH__DISABLE_ANONYMIZED_ANALYTICS", "true")
    import lavra.modeling.macros  # noqa: F401, PLC0415 - registers the macros

    settings = load_settings(find_project(Path(project_root)))
    activate(settings)
    gateway, loader = _gateway(settings)
    return Config(
        gateways={settings.models_gateway: gateway},
        default_gateway=settings.models_gateway,
        loader=loader,
        ignore_patterns=[
            *IGNORE_PATTERNS,
            *(f"{folder}/{name}/*" for name in settings.domains_left_out for folder in _FOLDERS),
        ],
        linter=LinterConfig(
            enabled=True,
            rules=set(RULE_NAMES) | {"ambiguousorinvalidcolumn", "invalidselectstarexpansion"},
        ),
        format=FormatConfig(append_newline=True),
        disable_anonymized_analytics=True,
        model_defaults=ModelDefaultsConfig(
            dialect="duckdb", start=start, cron="@daily", allow_partials=True
        ),
        variables={"time_zone": settings.time_zone},
    )


def _gateway(settings: Settings) -> tuple[GatewayConfig, type[LakeLoader]]:
    """Return the one gateway that the settings choose, and the loader of its Context."""
    if settings.models_gateway == "bigquery":
        from lavra.modeling import bigquery  # noqa: PLC0415 - needs packages of its own

        return bigquery.gateway(settings), bigquery.WarehouseLoader
    lake = GatewayConfig(
        connection=LakeConnectionConfig(),
        state_connection=StateConnectionConfig(),
        state_schema=SQLMESH_SCHEMA,
        test_connection=DuckDBConnectionConfig(catalogs={"lake": ":memory:"}),
    )
    return lake, LakeLoader
