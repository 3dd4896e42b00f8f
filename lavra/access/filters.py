"""Row filters: SQL expressions, parsed and checked by DuckDB, which also runs them.

A filter is part of the policy, not of a caller's request; what comes from the caller are values,
and they are only ever bound.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb


@dataclass(frozen=True)
class Filter:
    """A filter: its text, the columns it reads (lower case) and the attributes it names."""

    sql: str
    columns: frozenset[str]
    attributes: frozenset[str]


@functools.lru_cache(maxsize=1024)
def parse_filter(text: str) -> Filter:
    """Return a filter's parts.

    Raises:
        ValueError: it is no single expression over columns and attributes, or its outcome may
            change while its inputs do not.
    """
    with duckdb.connect(":memory:") as duck:
        _parse(duck, f"select 1 where {text}")  # text that closes a parenthesis is no expression
        node = _parse(duck, f"select 1 where (\n{text}\n)")
        _check_alone(node)
        unstable = {
            name
            for (name,) in duck.execute(
                "select distinct function_name from duckdb_functions() "
                "where stability is distinct from 'CONSISTENT' or function_type <> 'scalar'"
            ).fetchall()
        }
        stable = {
            name
            for (name,) in duck.execute(
                "select distinct function_name from duckdb_functions() "
                "where stability = 'CONSISTENT' and function_type = 'scalar'"
            ).fetchall()
        }
    columns, attributes = set(), set()
    for part in _walk(node["where_clause"]):
        match part.get("class"):
            case "SUBQUERY":
                raise ValueError("it holds a subquery; filters read one row alone")
            case "WINDOW":
                raise ValueError("it holds a window function; filters read one row alone")
            case "STAR":
                raise ValueError("it names * where a column belongs")
            case "FUNCTION":
                name = part["function_name"]
                if name not in stable and name in unstable:
                    raise ValueError(
                        f"{name}() is no function of a row alone; filters depend on nothing else"
                    )
            case "COLUMN_REF":
                columns.add(_column(part["column_names"]))
            case "PARAMETER":
                if not part["identifier"].isidentifier():
                    raise ValueError("attributes are written as $name")
                attributes.add(part["identifier"])
    return Filter(text, frozenset(columns), frozenset(attributes))


def _parse(duck: duckdb.DuckDBPyConnection, sql: str) -> Any:
    answer = duck.execute("select json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    parsed = json.loads(answer)
    if parsed["error"]:
        raise ValueError(f"it does not parse: {parsed['error_message']}")
    if len(parsed["statements"]) != 1:
        raise ValueError("it is more than one expression")
    return parsed["statements"][0]["node"]


def _check_alone(node: dict[str, Any]) -> None:
    """Refuse text that closes the parenthesis around it and goes on as another statement."""
    plain = (
        node["type"] == "SELECT_NODE"
        and node["where_clause"] is not None
        and node["from_table"]["type"] == "EMPTY"
        and len(node["select_list"]) == 1
        and not node["modifiers"]
        and not node["group_expressions"]
        and node["having"] is None
        and node["qualify"] is None
        and node["sample"] is None
    )
    if not plain:
        raise ValueError("it is more than one expression")


def _column(names: list[str]) -> str:
    """Return the column of a reference; more names than one are fields of a struct column."""
    name = names[0].lower()
    if name in {"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"}:
        raise ValueError(f"{name} changes with time; filters depend on the row and caller alone")
    return name


def _walk(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _walk(value)
    elif isinstance(part, list):
        for value in part:
            yield from _walk(value)
