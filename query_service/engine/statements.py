"""Statements that clients ask for and DataFusion only runs with its settings readable.

DataFusion's own ``information_schema`` shows the engine's settings, so it stays switched off;
the release carries an ``information_schema`` of its own, and SHOW is answered from it.
"""

from __future__ import annotations

import re

_SHOW_TABLES = re.compile(r"^\s*show\s+(full\s+)?tables\s*;?\s*$", re.IGNORECASE)
_SHOW_SCHEMAS = re.compile(r"^\s*show\s+(schemas|databases)\s*;?\s*$", re.IGNORECASE)
_SHOW_COLUMNS = re.compile(
    r"^\s*show\s+columns\s+(?:from|in)\s+(?:lake\s*\.\s*)?"
    r'(?P<schema>\w+|"[^"]+")\s*\.\s*(?P<table>\w+|"[^"]+")\s*;?\s*$',
    re.IGNORECASE,
)


_TABLES = (
    "select table_schema, table_name, table_type from lake.information_schema.tables "
    "order by table_schema, table_name"
)
_SCHEMAS = "select schema_name from lake.information_schema.schemata order by schema_name"
_COLUMNS = (
    "select column_name, data_type, is_nullable from lake.information_schema.columns "
    "where table_schema = $lavra_schema and table_name = $lavra_table order by ordinal_position"
)


def rewrite(sql: str) -> tuple[str, dict[str, str]]:
    """Return the statement to run and the parameters it needs on top of the request's own."""
    if _SHOW_TABLES.match(sql):
        return _TABLES, {}
    if _SHOW_SCHEMAS.match(sql):
        return _SCHEMAS, {}
    columns = _SHOW_COLUMNS.match(sql)
    if columns:
        return _COLUMNS, {
            "lavra_schema": _identifier(columns["schema"]),
            "lavra_table": _identifier(columns["table"]),
        }
    return sql, {}


def _identifier(text: str) -> str:
    return text[1:-1] if text.startswith('"') else text.lower()
