"""Superset's engine spec for the query service (engine name ``lavra``)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy import types
from superset.db_engine_specs.base import BaseEngineSpec
from superset.db_engine_specs.exceptions import (
    SupersetDBAPIDatabaseError,
    SupersetDBAPIDataError,
    SupersetDBAPIOperationalError,
    SupersetDBAPIProgrammingError,
)
from superset.sql.parse import SQLScript
from superset.utils.core import GenericDataType

import lavra_driver
from lavra_driver.connection import DEFAULT_ENVIRONMENT
from lavra_driver.superset.default_schema import with_schema
from lavra_driver.superset.service_errors import CUSTOM_ERRORS
from lavra_driver.superset.signing import Signer, roles_of
from lavra_driver.superset.sqlglot_dialect import KEPT_FUNCTIONS
from lavra_driver.superset.time_grains import TIME_GRAINS

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


class LavraEngineSpec(BaseEngineSpec):
    """Lavra's query service: DataFusion's SQL, read-only, one released snapshot a query."""

    engine = "lavra"
    engine_name = "Lavra"
    default_driver = "http"
    sqlalchemy_uri_placeholder = "lavra://:key@host:8080/prod"

    allows_joins = True
    allows_subqueries = True
    allows_alias_in_select = True
    allows_alias_in_orderby = True
    allows_sql_comments = True
    allows_hidden_cc_in_orderby = True
    allows_cte_in_subquery = True
    supports_file_upload = False
    max_column_name_length = 255
    arraysize = 10_000

    _time_grain_expressions = TIME_GRAINS

    column_type_mappings = (
        (re.compile(r"^tinyint", re.IGNORECASE), types.SmallInteger(), GenericDataType.NUMERIC),
        (re.compile(r"^binary", re.IGNORECASE), types.LargeBinary(), GenericDataType.STRING),
        (re.compile(r"^interval", re.IGNORECASE), types.Interval(), GenericDataType.STRING),
        (re.compile(r"^(array|struct|map)", re.IGNORECASE), types.String(), GenericDataType.STRING),
        (re.compile(r"^null$", re.IGNORECASE), types.String(), GenericDataType.STRING),
    )

    encrypted_extra_sensitive_fields = {
        "$.connect_args.api_key": "API key",
        "$.connect_args.token": "Bearer token",
    }
    supports_catalog = True
    supports_dynamic_catalog = True
    supports_dynamic_schema = True

    custom_errors = CUSTOM_ERRORS

    @classmethod
    def get_dbapi_exception_mapping(cls) -> dict[type[Exception], type[Exception]]:
        """Return Superset's exception for each of the driver's."""
        return {
            lavra_driver.ProgrammingError: SupersetDBAPIProgrammingError,
            lavra_driver.NotSupportedError: SupersetDBAPIProgrammingError,
            lavra_driver.OperationalError: SupersetDBAPIOperationalError,
            lavra_driver.DataError: SupersetDBAPIDataError,
            lavra_driver.InternalError: SupersetDBAPIDatabaseError,
        }

    @classmethod
    def convert_dttm(
        cls,
        target_type: str,
        dttm: datetime,
        db_extra: dict[str, Any] | None = None,
    ) -> str | None:
        """Write a date or a time as a literal of the column's type."""
        kind = cls.get_sqla_column_type(target_type)
        if isinstance(kind, types.Date):
            return f"DATE '{dttm.date().isoformat()}'"
        if isinstance(kind, types.DateTime):
            return f"TIMESTAMP '{dttm.isoformat(sep=' ', timespec='microseconds')}'"
        return None

    @classmethod
    def epoch_to_dttm(cls) -> str:
        """Turn seconds since the epoch into a timestamp."""
        return "to_timestamp_seconds({col})"

    @classmethod
    def epoch_ms_to_dttm(cls) -> str:
        """Turn milliseconds since the epoch into a timestamp."""
        return "to_timestamp_millis({col})"

    @classmethod
    def get_datatype(cls, type_code: Any) -> str | None:
        """Return the type's name, which is what the driver's description holds already."""
        return str(type_code) if type_code else None

    @classmethod
    def _extract_error_message(cls, ex: Exception) -> str:
        """Return the message with the service's code in front, by which errors are told apart."""
        cause = getattr(ex, "orig", None) or ex
        if isinstance(cause, lavra_driver.Error):
            return str(cause)
        message: str = super()._extract_error_message(ex)
        return message

    @classmethod
    def extract_errors(
        cls,
        ex: Exception,
        context: dict[str, Any] | None = None,
        database_name: str | None = None,
    ) -> list[Any]:
        """Return the error as Superset shows it; the service's query id goes along."""
        found: list[Any] = super().extract_errors(ex, context, database_name)
        cause = getattr(ex, "orig", ex)
        for error in found:
            if isinstance(cause, lavra_driver.Error) and cause.query_id:
                error.extra = {**(error.extra or {}), "query_id": cause.query_id}
        return found

    # A catalog, in Superset's words, is an environment of SQLMesh: prod, or a preview.

    @classmethod
    def get_default_catalog(cls, database: Any) -> str:
        """Return the environment that the URL names."""
        return database.url_object.database or DEFAULT_ENVIRONMENT

    @classmethod
    def get_catalog_names(cls, database: Any, inspector: Any) -> set[str]:
        """Return the environments that whoever asks may read; the URL's at least."""
        with database.get_raw_connection() as connection:
            found = connection.environments()
        return {cls.get_default_catalog(database), *(item["name"] for item in found)}

    @classmethod
    def adjust_engine_params(
        cls,
        uri: URL,
        connect_args: dict[str, Any],
        catalog: str | None = None,
        schema: str | None = None,
    ) -> tuple[URL, dict[str, Any]]:
        """Connect to the chosen environment; a name without a schema means the chosen one.

        Superset connects anew for each query, so the driver keeps the HTTP connections.
        """
        # In place: Superset drops what is returned.
        connect_args.setdefault("share_pool", True)
        if schema:
            connect_args["schema"] = schema
        return (uri.set(database=catalog) if catalog else uri), connect_args

    @classmethod
    def execute(cls, cursor: Any, query: str, database: Any, **kwargs: Any) -> None:
        """Run a statement; tables without a schema are looked for in the chosen one.

        Only a statement that the service could not run for want of a table is completed and run
        again, so a dashboard's query, whose names are whole, is not parsed once more.
        """
        schema = cursor.connection.schema
        try:
            super().execute(cursor, query, database, **kwargs)
        except Exception as error:
            complete = query
            if schema and getattr(error.__cause__, "code", None) == "unknown_table":
                complete = with_schema(query, schema)
            if complete == query:
                raise
            super().execute(cursor, complete, database, **kwargs)

    @classmethod
    def get_schema_from_engine_params(cls, sqlalchemy_uri: URL, connect_args: Any) -> str | None:
        """Return the schema that the connection was made with."""
        schema: str | None = connect_args.get("schema")
        return schema

    @classmethod
    def where_latest_partition(
        cls, database: Any, table: Any, query: Any, columns: list[Any] | None = None
    ) -> Any:
        """Keep the rows of the latest day of the model's time column; None if it has none.

        A model is built interval by interval of that column, a day of it is what a partition is
        elsewhere. A table without rows, or one that may not be seen, has none either.
        """
        latest = cls._latest_day(database, table)
        if latest is None:
            return None
        name, kind, day = latest
        literal = cls.convert_dttm(kind, day)
        return query.where(sa.column(name) >= sa.text(literal)) if literal else None

    @classmethod
    def _latest_day(cls, database: Any, table: Any) -> tuple[str, str, datetime] | None:
        """Return the time column of a table, its type, and the start of its latest day."""
        if not table.schema:
            return None
        quote = database.get_dialect().identifier_preparer.quote
        with database.get_raw_connection(catalog=table.catalog) as connection:
            try:
                found = connection.table(table.schema, table.table)
                name = found.get("time_column")
                kinds = {item["name"]: item["type"] for item in found["columns"]}
                if name not in kinds:
                    return None
                whole = f"{quote(table.schema)}.{quote(table.table)}"
                cursor = connection.execute(f"select max({quote(name)}) from {whole}")  # noqa: S608 - quoted
                kind, value = cursor.description[0][1], cursor.fetchone()[0]
            except lavra_driver.DatabaseError:
                return None
        if value is None or not hasattr(value, "year"):
            return None
        return name, str(kind), datetime(value.year, value.month, value.day)  # noqa: DTZ001 - naive, as Superset wants it

    @classmethod
    def impersonate_user(
        cls,
        database: Any,
        username: str | None,
        user_token: str | None,
        url: URL,
        engine_kwargs: dict[str, Any],
    ) -> tuple[URL, dict[str, Any]]:
        """Sign who asks, for every request anew: the service goes by that signature alone.

        Whoever is not logged in asks as ``anonymous`` with the roles of Superset's public role,
        never with what the connection itself may do. Without a signing secret (a Superset that
        is not this lake's) the user's own token is sent, or the connection's key.
        """
        connect_args = dict(engine_kwargs.get("connect_args") or {})
        signing = current_app.config.get("LAVRA_SIGNING")
        token: Any = user_token
        if signing:
            token = Signer(signing, username or "anonymous", roles_of(username))
        if token:
            connect_args |= {"token": token, "api_key": None}
            url = url.set(password=None)
        return url, {**engine_kwargs, "connect_args": connect_args}

    @classmethod
    def mask_encrypted_extra(cls, encrypted_extra: str | None) -> str | None:
        """Hide the credentials; text that is no JSON is hidden whole."""
        try:
            masked: str | None = super().mask_encrypted_extra(encrypted_extra)
        except ValueError:
            return "{}"
        return masked

    @classmethod
    def get_function_names(cls, database: Any) -> list[str]:
        """Return the functions that the editor completes."""
        return sorted({*KEPT_FUNCTIONS, "avg", "coalesce", "count", "lower", "max", "min", "sum",
                       "upper"})  # fmt: skip

    @classmethod
    def get_extra_table_metadata(cls, database: Any, table: Any) -> dict[str, Any]:
        """Return what the service knows of a table beyond its columns."""
        if not table.schema:
            return {}
        with database.get_raw_connection(catalog=table.catalog) as connection:
            found = connection.table(table.schema, table.table)
        latest = cls._latest_day(database, table)
        shown = ("row_count", "bytes", "data_through", "grain", "upstream", "audits")
        return {
            "metadata": {name: found[name] for name in shown if found.get(name) is not None},
            "partitions": {
                "cols": [latest[0]],
                "latest": {latest[0]: latest[2].date().isoformat()},
                "partitionQuery": None,
            }
            if latest
            else {},
        }

    @classmethod
    def get_metrics(cls, database: Any, inspector: Any, table: Any) -> list[Any]:
        """Return the metrics of a dataset that is made in the editor: rows, and its freshness."""
        found: list[Any] = super().get_metrics(database, inspector, table)
        times = [
            column["name"]
            for column in inspector.get_columns(table.table, table.schema)
            if isinstance(column["type"], types.DateTime)
        ]
        return found + [
            {
                "metric_name": f"latest_{name}",
                "verbose_name": f"MAX({name})",
                "metric_type": "max",
                "expression": f'MAX("{name}")',
            }
            for name in times[:1]
        ]

    @classmethod
    def expand_data(
        cls, columns: list[Any], data: list[dict[Any, Any]]
    ) -> tuple[list[Any], list[dict[Any, Any]], list[Any]]:
        """Show each field of a struct as a column of its own, after the struct."""
        expanded: list[Any] = []
        for column in columns:
            expanded.append(column)
            name = column["column_name"]
            values = [row.get(name) for row in data]
            if not all(value is None or isinstance(value, dict) for value in values):
                continue
            fields = dict.fromkeys(key for value in values if value for key in value)
            for key in fields:
                inner = f"{name}.{key}"
                expanded.append({**column, "column_name": inner, "name": inner, "type": None})
                for row, value in zip(data, values, strict=True):
                    row[inner] = value.get(key) if value else None
        added = [column for column in expanded if column not in columns]
        return expanded, data, added

    @classmethod
    def get_allow_cost_estimate(cls, extra: dict[str, Any]) -> bool:
        """Every statement can be estimated."""
        return True

    @classmethod
    def estimate_statement_cost(cls, database: Any, statement: Any, cursor: Any) -> dict[str, Any]:
        """Return the rows and bytes of the tables that a statement reads: what it costs at most."""
        known = {(t["schema"], t["name"]): t for t in cursor.connection.tables()}
        parsed = SQLScript(str(statement), cls.engine).statements
        read = {(t.schema, t.table) for part in parsed for t in part.tables}
        found = [known[key] for key in read if key in known]
        return {
            "tables": len(found),
            "rows": sum(table.get("row_count") or 0 for table in found),
            "bytes": sum(table.get("bytes") or 0 for table in found),
        }

    @classmethod
    def query_cost_formatter(cls, raw_cost: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Write the numbers for people."""
        return [{f"{name} at most": f"{n:,}" for name, n in cost.items()} for cost in raw_cost]

    @classmethod
    def get_cancel_query_id(cls, cursor: Any, query: Any) -> str | None:
        """Return the id that the statement will have at the service."""
        found: str = cursor.reserve_query_id()
        return found

    @classmethod
    def cancel_query(cls, cursor: Any, query: Any, cancel_query_id: str) -> bool:
        """Stop the statement at the service."""
        stopped: bool = cursor.connection.cancel(cancel_query_id)
        return stopped
