"""How SQLAlchemy's expressions are written for the service (DataFusion's SQL)."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import exc, types
from sqlalchemy.sql import compiler, elements

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

    def fetch_clause(self, select: Any, **kw: Any) -> str:
        """Write FETCH as LIMIT; DataFusion has neither PERCENT nor WITH TIES."""
        if any(select._fetch_clause_options.values()):
            raise exc.CompileError("FETCH knows neither PERCENT nor WITH TIES here")
        text: str = "\n LIMIT " + self.process(select._fetch_clause, **kw)
        if select._offset_clause is not None:
            text += "\n OFFSET " + self.process(select._offset_clause, **kw)
        return text

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """Write nothing: there is nothing to lock."""
        return ""

    def visit_mod_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``%`` plainly; qmark parameters need no doubling."""
        return f"{self.process(binary.left, **kw)} % {self.process(binary.right, **kw)}"

    def visit_truediv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Divide as Python does: where integers may meet, the divisor becomes a double.

        SQLAlchemy 1.4 leaves division to the database, and so it is left there.
        """
        left, right = self.process(binary.left, **kw), self.process(binary.right, **kw)
        exact = isinstance(binary.right.type, (types.Numeric, types.Float))
        if exact or not getattr(self.dialect, "div_is_floordiv", False):
            return f"{left} / {right}"
        return f"{left} / CAST({right} AS DOUBLE)"

    def visit_concat_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``||``; DataFusion cannot infer the type of a parameter beside it."""
        return " || ".join(self._as_text(part, **kw) for part in (binary.left, binary.right))

    def visit_concat_op_expression_clauselist(
        self, clauselist: Any, operator: Any, **kw: Any
    ) -> str:
        """Write a chain of ``||``."""
        return " || ".join(self._as_text(part, **kw) for part in clauselist.clauses)

    def visit_like_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write LIKE."""
        return self._like(binary, "LIKE", **kw)

    def visit_not_like_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write NOT LIKE."""
        return self._like(binary, "NOT LIKE", **kw)

    def visit_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ILIKE, which DataFusion has."""
        return self._like(binary, "ILIKE", **kw)

    def visit_not_ilike_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write NOT ILIKE."""
        return self._like(binary, "NOT ILIKE", **kw)

    def visit_ilike_case_insensitive_operand(self, element: Any, **kw: Any) -> str:
        """Leave the operand alone: ILIKE does the rest."""
        text: str = element.element._compiler_dispatch(self, **kw)
        return text

    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``~``, or ``~*`` with the flag i."""
        return self._regexp(binary, "~", **kw)

    def visit_not_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``!~``, or ``!~*`` with the flag i."""
        return self._regexp(binary, "!~", **kw)

    def visit_regexp_replace_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Write ``regexp_replace``; without the flag g it replaces the first match."""
        parts = [binary.left, *binary.right.clauses]
        if (flags := binary.modifiers.get("flags")) is not None:
            parts.append(flags if hasattr(flags, "_compiler_dispatch") else elements.literal(flags))
        return f"regexp_replace({', '.join(self.process(part, **kw) for part in parts)})"

    def visit_empty_set_expr(self, element_types: Any, **kw: Any) -> str:
        """Write a set without members."""
        columns = ", ".join("1" for _ in element_types) or "1"
        return f"SELECT {columns} WHERE 1 != 1"

    def visit_now_func(self, fn: Any, **kw: Any) -> str:
        """Write the time of the query."""
        return "now()"

    def visit_frame_clause(self, frameclause: Any, **kw: Any) -> str:
        """Write a window's frame.

        DataFusion takes no parameters there: they are written out when the query runs.
        """
        text: str = super().visit_frame_clause(frameclause, **{**kw, "literal_execute": True})
        return text

    def _format_frame_clause(self, range_: Any, **kw: Any) -> str:
        # The same, up to SQLAlchemy 2.0.
        text: str = super()._format_frame_clause(range_, **{**kw, "literal_execute": True})
        return text

    def _as_text(self, part: Any, **kw: Any) -> str:
        text: str = part._compiler_dispatch(self, **kw)
        return f"CAST({text} AS VARCHAR)" if isinstance(part, elements.BindParameter) else text

    def _like(self, binary: Any, operator: str, **kw: Any) -> str:
        """Write a match; another escape than the backslash, DataFusion's only one, becomes it."""
        escape = binary.modifiers.get("escape")
        left, right = self.process(binary.left, **kw), self.process(binary.right, **kw)
        if escape is not None and escape != "\\":
            if len(escape) != 1:
                raise exc.CompileError(f"ESCAPE takes one character, not {escape!r}")
            marked = self.render_literal_value(re.escape(escape) + "(.)", types.String())
            right = rf"regexp_replace(replace({right}, '\', '\\'), {marked}, '\${{1}}', 'gs')"
        return f"{left} {operator} {right}"

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
        """A timestamp without a zone, UTC by convention, in microseconds.

        Those of a bare ``TIMESTAMP`` are nanoseconds, which end in the year 2262.
        """
        return "TIMESTAMP(6)"

    visit_TIMESTAMP = visit_datetime = visit_DATETIME

    def visit_TIME(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A time of day."""
        return "TIME"

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

    def visit_INTERVAL(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A span of time."""
        return "INTERVAL"

    def visit_TINYINT(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """Eight bits."""
        return "TINYINT"

    def visit_ARRAY(self, type_: Any, **kw: Any) -> str:  # noqa: N802
        """A list."""
        return f"{self.process(type_.item_type, **kw)}[]"
