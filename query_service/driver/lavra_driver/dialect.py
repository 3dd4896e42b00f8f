"""SQLAlchemy dialect ``lavra``, for SQLAlchemy 1.4 and 2.x.

    lavra://:KEY@host:port/environment?https=true&timeout_s=30

The key stands in the password's place, so that SQLAlchemy masks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, types
from sqlalchemy.engine import default

import lavra_driver
from lavra_driver.compiler import (
    LavraCompiler,
    LavraDDLCompiler,
    LavraIdentifierPreparer,
    LavraTypeCompiler,
)
from lavra_driver.exceptions import InterfaceError, ProgrammingError
from lavra_driver.sqlalchemy_types import COLSPECS, type_of

if TYPE_CHECKING:
    from types import ModuleType

    from sqlalchemy.engine import URL

    from lavra_driver.connection import Connection

_FLAGS = {"https", "verify"}
_INTEGERS = {"retries", "row_limit"}
_NUMBERS = {"timeout_s", "connect_timeout_s"}
_TEXTS = {"audience", "auth", "ca_file", "snapshot"}

_SYSTEM_VIEWS = {
    ("lavra", "tables"): "What the release says of each table: rows, freshness, audits.",
}


class LavraDialect(default.DefaultDialect):
    """What SQLAlchemy needs to know of the query service: reads only, DataFusion's SQL."""

    name = "lavra"
    driver = "http"
    paramstyle = "qmark"
    default_paramstyle = "qmark"

    statement_compiler = LavraCompiler
    ddl_compiler = LavraDDLCompiler
    type_compiler = LavraTypeCompiler
    type_compiler_cls = LavraTypeCompiler
    preparer = LavraIdentifierPreparer
    colspecs = COLSPECS

    supports_statement_cache = True
    supports_native_boolean = True
    supports_native_decimal = True
    supports_native_uuid = False
    supports_unicode_statements = True
    supports_unicode_binds = True
    supports_comments = True
    supports_multivalues_insert = False
    supports_default_values = False
    supports_sequences = False
    supports_alter = False
    supports_sane_rowcount = False
    supports_sane_multi_rowcount = False
    supports_empty_insert = False
    supports_simple_order_by_label = True
    supports_is_distinct_from = True
    supports_schemas = True
    postfetch_lastrowid = False
    insert_returning = False
    implicit_returning = False
    requires_name_normalize = False
    # SQLAlchemy 1.4 compares with this object; 2.x knows nothing else.
    returns_unicode_strings = getattr(types.String, "RETURNS_UNICODE", True)
    description_encoding = None
    max_identifier_length = 255
    tuple_in_values = False

    @classmethod
    def dbapi(cls) -> ModuleType:  # type: ignore[override, unused-ignore]
        """Return the DB-API module (SQLAlchemy 1.4's name for it)."""
        return lavra_driver

    @classmethod
    def import_dbapi(cls) -> ModuleType:
        """Return the DB-API module (SQLAlchemy 2's name for it)."""
        return cls.dbapi()

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """Turn a URL into the arguments of ``lavra_driver.connect``.

        Raises:
            InterfaceError: the URL has a parameter that we do not know, or a value of the wrong
                kind.
        """
        arguments: dict[str, Any] = {
            "host": url.host or "127.0.0.1",
            "port": url.port,
            "environment": url.database or "prod",
            "api_key": url.password or None,
        }
        for name, value in url.query.items():
            if isinstance(value, tuple):
                raise InterfaceError(f"the URL names {name} twice")
            arguments[name] = _option(name, value)
        return [], arguments

    def initialize(self, connection: Any) -> None:
        """Ask the service nothing: what other dialects look up is fixed here.

        There is no default schema: a table is named with its schema.
        """
        self.default_schema_name = None
        self.server_version_info = ()

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Do nothing: there are no transactions."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Do nothing: there are no transactions."""

    def do_ping(self, dbapi_connection: Connection) -> bool:
        """Whether the service answers queries."""
        return dbapi_connection.ping()

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        """Whether the connection is of no more use: only when it was closed."""
        return isinstance(e, InterfaceError) and "connection is closed" in str(e)

    def get_default_isolation_level(self, dbapi_conn: Any) -> str:
        """Each query reads one release, whole."""
        return "AUTOCOMMIT"

    def get_isolation_level(self, dbapi_connection: Any) -> str:
        """Each query reads one release, whole."""
        return "AUTOCOMMIT"

    def get_isolation_level_values(self, dbapi_conn: Any) -> list[str]:
        """Only this one."""
        return ["AUTOCOMMIT"]

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        """Do nothing: SQLAlchemy has compared ``level`` with the one there is."""

    def get_schema_names(self, connection: Any, **kw: Any) -> list[str]:
        """Return the schemas that hold a table, and the one of the service's own views."""
        held = {table["schema"] for table in self._tables(connection, **kw)}
        return sorted(held | {schema for schema, _ in _SYSTEM_VIEWS})

    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the tables of a schema; none without one, as there is no default schema."""
        tables = self._tables(connection, **kw)
        return sorted(table["name"] for table in tables if table["schema"] == schema)

    def get_view_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the views of a schema: a release holds tables, the service's own schema views."""
        return [name for held, name in _SYSTEM_VIEWS if held == schema]

    def get_temp_table_names(self, connection: Any, **kw: Any) -> list[str]:
        """Return no name: nothing temporary can be made."""
        return []

    def get_temp_view_names(self, connection: Any, **kw: Any) -> list[str]:
        """Return no name: nothing temporary can be made."""
        return []

    def get_sequence_names(
        self, connection: Any, schema: str | None = None, **kw: Any
    ) -> list[str]:
        """Return no name: there are no sequences."""
        return []

    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> bool:
        """Whether the table or view exists for this key."""
        names = self.get_table_names(connection, schema, **kw)
        return table_name in names or table_name in self.get_view_names(connection, schema, **kw)

    def has_schema(self, connection: Any, schema_name: str, **kw: Any) -> bool:
        """Whether the schema holds a table for this key."""
        return schema_name in self.get_schema_names(connection, **kw)

    def has_index(
        self,
        connection: Any,
        table_name: str,
        index_name: str,
        schema: str | None = None,
        **kw: Any,
    ) -> bool:
        """There are no indexes."""
        return False

    def has_sequence(
        self, connection: Any, sequence_name: str, schema: str | None = None, **kw: Any
    ) -> bool:
        """There are no sequences."""
        return False

    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[dict[str, Any]]:
        """Return the columns with their types and comments."""
        table = self._table(connection, table_name, schema, **kw)
        grain = set(table.get("grain") or ())
        return [
            {
                "name": column["name"],
                "type": type_of(column["type"]),
                "nullable": column.get("nullable", True) and column["name"] not in grain,
                "default": None,
                "comment": column.get("description") or None,
            }
            for column in table["columns"]
        ]

    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> dict[str, Any]:
        """Return the model's declared grain."""
        table = self._table(connection, table_name, schema, **kw)
        return {"constrained_columns": list(table.get("grain") or ()), "name": None}

    def get_foreign_keys(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[dict[str, Any]]:
        """Return none: models declare no references."""
        self._table(connection, table_name, schema, **kw)
        return []

    def get_indexes(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[dict[str, Any]]:
        """Return none: the service has no indexes."""
        self._table(connection, table_name, schema, **kw)
        return []

    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[dict[str, Any]]:
        """Return none beside the primary key."""
        self._table(connection, table_name, schema, **kw)
        return []

    def get_check_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[dict[str, Any]]:
        """Return none: checks are audits of the models."""
        self._table(connection, table_name, schema, **kw)
        return []

    def get_table_comment(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> dict[str, Any]:
        """Return the model's description."""
        table = self._table(connection, table_name, schema, **kw)
        return {"text": table.get("description") or None}

    def get_view_definition(
        self, connection: Any, view_name: str, schema: str | None = None, **kw: Any
    ) -> str:
        """Refuse: the service's own views are made by no SQL.

        Raises:
            NoSuchTableError: there is no such view.
            NotImplementedError: there is.
        """
        if view_name in self.get_view_names(connection, schema, **kw):
            raise NotImplementedError(f"{schema}.{view_name} is not made by SQL")
        raise exc.NoSuchTableError(view_name)

    def _tables(
        self, connection: Any, info_cache: dict[Any, Any] | None = None, **kw: Any
    ) -> list[dict[str, Any]]:
        # By hand: SQLAlchemy 1.4's own decorator breaks on annotations that are strings.
        cache = {} if info_cache is None else info_cache
        key = ("lavra", "tables")
        if key not in cache:
            cache[key] = _dbapi(connection).tables()
        tables: list[dict[str, Any]] = cache[key]
        return tables

    def _table(
        self,
        connection: Any,
        table_name: str,
        schema: str | None = None,
        info_cache: dict[Any, Any] | None = None,
        **kw: Any,
    ) -> dict[str, Any]:
        if schema is None:
            raise exc.NoSuchTableError(f"{table_name} (name it with its schema)")
        cache = {} if info_cache is None else info_cache
        key = ("lavra", schema, table_name)
        if key not in cache and (schema, table_name) in _SYSTEM_VIEWS:
            cache[key] = _describe_view(_dbapi(connection), schema, table_name)
        if key not in cache:
            try:
                cache[key] = _dbapi(connection).table(schema, table_name)
            except ProgrammingError as error:
                if error.code == "unknown_table":
                    raise exc.NoSuchTableError(f"{schema}.{table_name}") from error
                raise
        table: dict[str, Any] = cache[key]
        return table


def _dbapi(connection: Any) -> Connection:
    """Return the DB-API connection below a SQLAlchemy one, in 1.4 and in 2.x."""
    pooled = connection.connection
    found: Connection = getattr(pooled, "dbapi_connection", None) or pooled.connection
    return found


def _describe_view(connection: Connection, schema: str, name: str) -> dict[str, Any]:
    """Return a view of the service's own as :meth:`Connection.table` returns a table."""
    with connection.execute(f"select * from {schema}.{name} limit 0") as cursor:  # noqa: S608
        columns = [
            {"name": column[0], "type": column[1], "nullable": column[6]}
            for column in cursor.description or ()
        ]
    return {"columns": columns, "grain": [], "description": _SYSTEM_VIEWS[schema, name]}


def _option(name: str, value: str) -> Any:
    try:
        if name in _FLAGS:
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        if name in _INTEGERS:
            return int(value)
        if name in _NUMBERS:
            return float(value)
    except (KeyError, ValueError) as error:
        raise InterfaceError(f"the URL's {name} cannot be {value!r}") from error
    if name in _TEXTS:
        return value
    known = ", ".join(sorted(_FLAGS | _INTEGERS | _NUMBERS | _TEXTS))
    raise InterfaceError(f"the URL has an unknown parameter {name!r}; known: {known}")
