"""The schema that SQL Lab's user chose, for names written without one.

The service has no default schema. Superset knows one for each query, and checks rights by it, so
names are completed here, with Superset's own parser, before the statement is sent.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lavra_driver.superset.sqlglot_dialect import Lavra


def with_schema(sql: str, schema: str) -> str:
    """Return a statement whose tables all have a schema; ``sql`` itself if nothing lacks one.

    A name that a ``WITH`` in whose reach it stands defines is no table, and stays.

    Args:
        sql: One statement.
        schema: For the tables that are written without one.
    """
    try:
        parsed = sqlglot.parse_one(sql, dialect=Lavra)
    except SqlglotError:
        return sql  # the service says what is wrong with it
    bare = [
        table for table in parsed.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and not table.db and not _is_defined(table)
    ]  # fmt: skip
    if not bare:
        return sql
    for table in bare:
        table.set("db", exp.to_identifier(schema, quoted=True))
        if not table.alias:
            # Columns may be written with the table's bare name; that stays a name of it.
            table.set("alias", exp.TableAlias(this=table.this.copy()))
    complete: str = parsed.sql(dialect=Lavra)
    return complete


def _is_defined(table: exp.Table) -> bool:
    """Whether a ``WITH`` of a statement around a table defines its name.

    Inside a ``WITH`` only earlier definitions are in reach, or, when it is recursive, all.
    """
    name = table.this.name if table.this.quoted else table.this.name.lower()
    inside: exp.Expression = table
    around = table.parent
    while around is not None:
        clause = around if isinstance(around, exp.With) else around.args.get("with_")
        if clause is not None and clause is not inside and _defines(clause, name, inside):
            return True
        inside, around = around, around.parent
    return False


def _defines(clause: exp.With, name: str, inside: exp.Expression) -> bool:
    for definition in clause.expressions:
        if definition is inside and not clause.args.get("recursive"):
            return False
        alias = definition.args["alias"].this
        if (alias.name if alias.quoted else alias.name.lower()) == name:
            return True
    return False
