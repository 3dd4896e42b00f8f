"""How SQLAlchemy's expressions are written for the service (DataFusion's SQL)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exc
from sqlalchemy.sql import compiler

RESERVED_WORDS = frozenset(
    {
        "all", "analyze", "and", "any", "array", "as", "asc", "at", "between", "both", "by",
        "case", "cast", "check", "collate", "column", "create", "cross", "current_date",
        "current_time", "current_timestamp", "default", "delete", "desc", "describe",
        "distinct", "drop", "else", "end", "escape", "except", "exists", "explain", "extract",
        "false", "fetch", "filter", "following", "for", "from", "full", "group", "grouping",
        "having", "in", "inner", "insert", "intersect", "interval", "into", "is", "join",
        "lateral", "leading", "left", "like", "ilike", "limit", "natural", "not", "null",
        "nulls", "of", "offset", "on", "or", "order", "outer", "over", "partition", "preceding",
        "primary", "qualify", "range", "recursive", "returning", "right", "rows", "select",
        "semi", "anti", "set", "sets", "show", "similar", "some", "substring", "table",
        "tablesample", "then", "time", "timestamp", "to", "trailing", "trim", "true",
        "unbounded", "union", "unique", "unnest", "update", "using", "values", "view", "when",
        "where", "window", "with", "within",
    }
)  # fmt: skip


class LavraIdentifierPreparer(compiler.IdentifierPreparer):
    """Quotes a name unless it is lower case and no word of the language."""

    reserved_words = RESERVED_WORDS


class LavraCompiler(compiler.SQLCompiler):
    """Writes SELECT as DataFusion takes it."""

    def limit_clause(self, select: Any, **kw: Any) -> str:
        """Write LIMIT and OFFSET; each may stand alone."""
        text = ""
        if select._limit_clause is not None:
            text += "\n LIMIT " + self.process(select._limit_clause, **kw)
        if select._offset_clause is not None:
            text += "\n OFFSET " + self.process(select._offset_clause, **kw)
        return text

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """Write nothing: there is nothing to lock."""
        return ""

    def visit_mod_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``%`` plainly; qmark parameters need no doubling."""
        return f"{self.process(binary.left, **kw)} % {self.process(binary.right, **kw)}"

    def visit_ilike_case_insensitive_operand(self, element: Any, **kw: Any) -> str:
        """Leave the operand alone: ILIKE does the rest."""
        text: str = element.element._compiler_dispatch(self, **kw)
        return text

    def visit_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ILIKE, which DataFusion has."""
        return self._ilike(binary, "ILIKE", **kw)

    def visit_not_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write NOT ILIKE."""
        return self._ilike(binary, "NOT ILIKE", **kw)

    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``~``, or ``~*`` with the flag i."""
        return self._regexp(binary, "~", **kw)

    def visit_not_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``!~``, or ``!~*`` with the flag i."""
        return self._regexp(binary, "!~", **kw)

    def visit_empty_set_expr(self, element_types: Any, **kw: Any) -> str:
        """Write a set without members."""
        columns = ", ".join("1" for _ in element_types) or "1"
        return f"SELECT {columns} WHERE 1 != 1"

    def visit_now_func(self, fn: Any, **kw: Any) -> str:
        """Write the time of the query."""
        return "now()"

    def _ilike(self, binary: Any, operator: str, **kw: Any) -> str:
        escape = binary.modifiers.get("escape")
        text = f"{self.process(binary.left, **kw)} {operator} {self.process(binary.right, **kw)}"
        return f"{text} ESCAPE '{escape}'" if escape else text

    def _regexp(self, binary: Any, operator: str, **kw: Any) -> str:
        flags = binary.modifiers.get("flags")
        given = getattr(flags, "value", flags)
        if given not in (None, "", "i"):
            raise exc.CompileError(f"regular expressions have no flag {given!r} here")
        mark = f"{operator}*" if given else operator
        return f"{self.process(binary.left, **kw)} {mark} {self.process(binary.right, **kw)}"


class LavraDDLCompiler(compiler.DDLCompiler):
    """Refuses what would change the lake, before it is sent."""

    def _refuse(self, *_: Any, **__: Any) -> str:
        raise exc.CompileError("the service is read-only: tables are made by SQLMesh models")

    visit_create_table = visit_drop_table = _refuse
    visit_create_schema = visit_drop_schema = _refuse
    visit_create_view = visit_drop_view = _refuse
    visit_create_index = visit_drop_index = _refuse
    visit_create_sequence = visit_drop_sequence = _refuse
    visit_add_constraint = visit_drop_constraint = _refuse
    visit_set_table_comment = visit_drop_table_comment = visit_set_column_comment = _refuse


class LavraTypeCompiler(compiler.GenericTypeCompiler):
    """Names of types in CAST."""

    def visit_FLOAT(self, type_: Any, **kw: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        """Single precision below 25 bits, as in standard SQL; double when nothing is said."""
        precision = type_.precision
        return "FLOAT" if precision is not None and precision < 25 else "DOUBLE"

    def visit_REAL(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Single precision."""
        return "FLOAT"

    def visit_DOUBLE(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Double precision."""
        return "DOUBLE"

    def visit_DOUBLE_PRECISION(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Double precision."""
        return "DOUBLE"

    def visit_NUMERIC(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A decimal; DataFusion's own default when nothing is said."""
        if type_.precision is None:
            return "DECIMAL(38, 10)"
        return f"DECIMAL({type_.precision}, {type_.scale or 0})"

    def visit_DECIMAL(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A decimal."""
        return self.visit_NUMERIC(type_, **kw)

    def visit_DATETIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A timestamp without a zone: UTC by convention."""
        return "TIMESTAMP"

    def visit_TIMESTAMP(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A timestamp without a zone: UTC by convention."""
        return "TIMESTAMP"

    def visit_TIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A time of day."""
        return "TIME"

    def visit_datetime(self, type_: Any, **kw: Any) -> str:
        """A timestamp."""
        return "TIMESTAMP"

    def visit_text(self, type_: Any, **kw: Any) -> str:
        """Text of any length."""
        return "VARCHAR"

    def visit_VARCHAR(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Text; lengths mean nothing to Arrow."""
        return "VARCHAR"

    visit_CHAR = visit_NVARCHAR = visit_NCHAR = visit_TEXT = visit_CLOB = visit_VARCHAR
    visit_uuid = visit_UUID = visit_JSON = visit_unicode = visit_unicode_text = visit_VARCHAR

    def visit_large_binary(self, type_: Any, **kw: Any) -> str:
        """Bytes."""
        return "BYTEA"

    visit_BLOB = visit_BINARY = visit_VARBINARY = visit_large_binary

    def visit_interval(self, type_: Any, **kw: Any) -> str:
        """A span of time."""
        return "INTERVAL"

    def visit_INTERVAL(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A span of time."""
        return "INTERVAL"

    def visit_TINYINT(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Eight bits."""
        return "TINYINT"

    def visit_ARRAY(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A list."""
        return f"{self.process(type_.item_type, **kw)}[]"
