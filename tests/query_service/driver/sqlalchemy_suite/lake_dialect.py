"""Our dialect, for a suite that makes tables: writes go to DuckLake, reads to the service.

A read after a write makes a release first (``lake_behind.py``), so every row that the suite
compares came through the service. Tables without a schema are those of ``gold_test``: the service
has no default schema, and the suite cannot do without.
"""

import os
from decimal import Decimal
from multiprocessing.connection import Client

from sqlalchemy.schema import CreateTable, DropTableComment, SetTableComment
from sqlalchemy.sql import compiler

from lavra_driver.compiler import LavraIdentifierPreparer
from lavra_driver.dialect import LavraDialect

SCHEMA = "gold_test"
_WRITES = ("CREATE", "DROP", "INSERT", "UPDATE", "DELETE", "ALTER", "COMMENT")


class LakePreparer(LavraIdentifierPreparer):
    """Names the schema of each table."""

    schema_for_object = staticmethod(lambda table: table.schema or SCHEMA)


class LakeDDL(compiler.DDLCompiler):
    """DuckLake's tables: no constraints, no indexes; comments are the model's."""

    def create_table_constraints(self, table, **kw):
        return ""

    def visit_create_index(self, create, **kw):
        return "CREATE INDEX"

    def visit_drop_index(self, drop, **kw):
        return "DROP INDEX"


class LakeDialect(LavraDialect):
    """Reads as the driver does; writes by the way of the test's own process."""

    driver = "lake"
    ddl_compiler = LakeDDL
    preparer = LakePreparer
    supports_statement_cache = True
    default_schema_name = SCHEMA

    def initialize(self, connection):
        super().initialize(connection)
        self.default_schema_name = SCHEMA

    def do_execute(self, cursor, statement, parameters, context=None):
        self.do_executemany(cursor, statement, [parameters or ()], context)

    def do_execute_no_params(self, cursor, statement, context=None):
        self.do_execute(cursor, statement, (), context)

    def do_executemany(self, cursor, statement, parameters, context=None):
        made = getattr(getattr(context, "compiled", None), "statement", None)
        if isinstance(made, (CreateTable, SetTableComment, DropTableComment)):
            table = made.element
            comment = "" if isinstance(made, DropTableComment) else table.comment or ""
            comments = {column.name: column.comment or "" for column in table.columns}
            grain = [column.name for column in table.primary_key.columns]
            lake("describe", table.name, comment, comments, grain)
        if not statement.lstrip().upper().startswith(_WRITES):
            lake("release")
            super().do_execute(cursor, statement, parameters[0], context)
        elif "INDEX" not in statement[:12] and not statement.startswith("COMMENT"):
            rows = [[_plain(value) for value in row] for row in parameters]
            lake("write", statement, rows)

    def get_table_names(self, connection, schema=None, **kw):
        return super().get_table_names(connection, schema or SCHEMA, **kw)

    def get_view_names(self, connection, schema=None, **kw):
        return super().get_view_names(connection, schema or SCHEMA, **kw)

    def _tables(self, connection, **kw):
        lake("release")
        return super()._tables(connection, **kw)

    def _table(self, connection, table_name, schema=None, **kw):
        lake("release")
        return super()._table(connection, table_name, schema or SCHEMA, **kw)


def _plain(value):
    # DuckDB drops the exponent of a decimal's 4E+8.
    return Decimal(format(value, "f")) if isinstance(value, Decimal) else value


def lake(*message):
    """Ask the process that holds the lake; its errors are raised here."""
    with Client(os.environ["LAKE_SOCKET"], "AF_UNIX", authkey=b"lake") as client:
        client.send(message)
        error = client.recv()
    if error:
        raise RuntimeError(error)
