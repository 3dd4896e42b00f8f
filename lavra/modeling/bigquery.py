"""The gateway to BigQuery: the same models, run there instead of on the lake.

Chosen by ``LAVRA_MODELS_GATEWAY=bigquery``. The models stay in DuckDB's dialect; SQLMesh renders
them, :func:`to_bigquery` says in BigQuery's words what sqlglot would say wrongly, and BigQuery
runs them. Bronze reads what Airbyte landed in BigQuery itself. Plans and runs take turns by a
lock in the catalog, and keep their state in a schema of their own beside the lake's; there are
no releases, which are the lake's (docs/decisions/0609).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError
from sqlmesh.core.config import GatewayConfig
from sqlmesh.core.config.connection import BigQueryConnectionConfig
from sqlmesh.core.context import Context
from sqlmesh.core.engine_adapter import BigQueryEngineAdapter, EngineAdapter
from sqlmesh.utils.errors import SQLMeshError

from lavra.catalog.locks import WAREHOUSE_LOCK, advisory_lock
from lavra.errors import ConfigurationError, LavraError
from lavra.modeling.connections import StateConnectionConfig
from lavra.modeling.context import LakeLoader
from lavra.modeling.lake import active_lake

if TYPE_CHECKING:
    from lavra.settings import Settings

NAME = "bigquery"
STATE_SCHEMA = "sqlmesh_bigquery"
"""Beside the lake's: with one state, each gateway would take the other's tables for its own."""


def gateway(settings: Settings) -> GatewayConfig:
    """Return the gateway; nothing is connected before it is used.

    Credentials are Google's Application Default Credentials, found when the first statement runs:
    no key passes through the configuration.

    Raises:
        ConfigurationError: project or location are not set, or google-cloud-bigquery is missing.
    """
    missing = [
        f"LAVRA_BIGQUERY_{name.upper()}"
        for name in ("project", "location")
        if not getattr(settings, f"bigquery_{name}")
    ]
    if missing:
        raise ConfigurationError(
            f"LAVRA_MODELS_GATEWAY is bigquery, but {' and '.join(missing)} is not set.",
            remedy="Set it to where the models are to run; docs/settings.md describes it.",
        )
    try:
        import google.cloud.bigquery  # noqa: F401, PLC0415 - an extra of its own
    except ImportError as error:
        raise ConfigurationError(
            "LAVRA_MODELS_GATEWAY is bigquery, but google-cloud-bigquery is not installed.",
            remedy="Install it with: pip install 'lavra[models,bigquery]'",
        ) from error
    return GatewayConfig(
        connection=WarehouseConnectionConfig(
            project=settings.bigquery_project,
            location=settings.bigquery_location,
            impersonated_service_account=settings.bigquery_impersonate or None,
        ),
        state_connection=StateConnectionConfig(),
        state_schema=STATE_SCHEMA,
    )


def landed_table(settings: Settings, namespace: str, stream: str) -> exp.Table:
    """Return the table in which Airbyte's BigQuery destination lands a stream."""
    dataset = f"{settings.bigquery_landing_prefix}{namespace}"
    return exp.table_(stream, db=dataset, catalog=settings.bigquery_project, quoted=True)


class WarehouseEngineAdapter(BigQueryEngineAdapter):
    """SQLMesh's BigQuery adapter, for models that are written in DuckDB's dialect."""

    def _to_sql(self, expression: exp.Expr, quote: bool = True, **kwargs: Any) -> str:
        if expression.find(exp.Query) is None:
            return super()._to_sql(expression, quote, **kwargs)
        # What cannot be said must not be left out: the model would mean something else.
        kwargs.setdefault("unsupported_level", ErrorLevel.RAISE)
        try:
            return super()._to_sql(to_bigquery(expression), quote, **kwargs)
        except UnsupportedError as error:
            raise SQLMeshError(f"BigQuery's SQL cannot say this: {error}") from error


class WarehouseConnectionConfig(BigQueryConnectionConfig):
    """SQLMesh's BigQuery connection, with our adapter."""

    type_: Literal["lavra_bigquery"] = Field(alias="type", default="lavra_bigquery")

    @property
    def _engine_adapter(self) -> type[EngineAdapter]:
        return WarehouseEngineAdapter

    @property
    def _static_connection_kwargs(self) -> dict[str, Any]:
        return {}

    @property
    def _connection_factory(self) -> Callable[[], Any]:
        # SQLMesh's own asks for credentials as soon as a project is loaded. Whoever lints or
        # renders needs none.
        def connect() -> Any:
            own: Any = super(WarehouseConnectionConfig, self)
            return own._connection_factory(**own._static_connection_kwargs)  # noqa: SLF001

        return connect


def _in_turn(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(self: WarehouseContext, *args: Any, **kwargs: Any) -> Any:
        if self._has_the_lock:
            return method(self, *args, **kwargs)

        def waiting() -> None:
            self.console.log_status_update("Another process plans or runs there. Waiting for it.")

        try:
            with advisory_lock(active_lake().catalog, WAREHOUSE_LOCK, on_wait=waiting):
                self._has_the_lock = True
                if self._state_sync is not None:
                    self._state_sync.clear_cache()
                try:
                    return method(self, *args, **kwargs)
                finally:
                    self._has_the_lock = False
        except LavraError as error:
            raise SQLMeshError(str(error)) from error

    return wrapped


class WarehouseContext(Context):
    """A Context whose plans and runs are one at a time, since two at once double rows.

    A plan that asks keeps the others waiting until it is answered.
    """

    _has_the_lock: bool = False

    plan = _in_turn(Context.plan)
    apply = _in_turn(Context.apply)
    run = _in_turn(Context.run)
    run_janitor = _in_turn(Context.run_janitor)
    invalidate_environment = _in_turn(Context.invalidate_environment)
    destroy = _in_turn(Context.destroy)
    migrate = _in_turn(Context.migrate)
    rollback = _in_turn(Context.rollback)


class WarehouseLoader(LakeLoader):
    """The lake's loader, house rules included, for a :class:`WarehouseContext`."""

    context_class = WarehouseContext


def to_bigquery(expression: exp.Expr) -> exp.Expr:
    """Return a copy in which BigQuery's own functions stand for what sqlglot would say wrongly.

    Instants (``TIMESTAMPTZ``) are BigQuery's TIMESTAMP, plain timestamps its DATETIME. Which of
    them an expression is decides how ``AT TIME ZONE`` and ``DATE_DIFF`` are said, so it needs the
    types that SQLMesh annotates when it renders a model.

    Raises:
        SQLMeshError: a type that must be known is not, or a function means something else there.
    """
    said = expression.copy()
    for call in said.find_all(exp.RegexpReplace):
        _replace_all(call)
    for node in reversed(list(said.find_all(exp.AtTimeZone, exp.DateDiff))):
        node.replace(_at_time_zone(node) if isinstance(node, exp.AtTimeZone) else _date_diff(node))
    return said


def _replace_all(call: exp.RegexpReplace) -> None:
    """Drop the modifier for every match, which BigQuery replaces anyhow."""
    modifiers = call.args.get("modifiers")
    if modifiers is None or modifiers.name != "g":
        raise SQLMeshError(
            f"BigQuery's REGEXP_REPLACE replaces every match and knows no modifiers: "
            f"{call.sql(dialect='duckdb')}. Give it 'g' alone."
        )
    call.set("modifiers", None)


def _at_time_zone(node: exp.AtTimeZone) -> exp.Expr:
    is_instant = _is_instant(node.this)
    name, kind = ("DATETIME", "TIMESTAMP") if is_instant else ("TIMESTAMP", "TIMESTAMPTZ")
    said = exp.Anonymous(this=name, expressions=[node.this, node.args["zone"]])
    said.type = exp.DataType.build(kind, dialect="duckdb")
    return said


def _date_diff(node: exp.DateDiff) -> exp.Expr:
    ends = (node.this, node.expression)
    if all(end.is_type(exp.DType.DATE) for end in ends):
        return node
    name = "TIMESTAMP_DIFF" if _is_instant(node.this) else "DATETIME_DIFF"
    return exp.Anonymous(this=name, expressions=[*ends, exp.var(node.text("unit").upper())])


def _is_instant(node: exp.Expr) -> bool:
    inner = node.unnest()
    if inner.is_type(exp.DType.TIMESTAMPTZ):
        return True
    if inner.is_type(exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.DATETIME):
        return False
    raise SQLMeshError(
        f"Whether {inner.sql(dialect='duckdb')} is an instant or a plain timestamp is not known, "
        "and BigQuery has to be told. Cast it."
    )
