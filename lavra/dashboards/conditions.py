"""Conditions chosen in Superset's editor, as the SQL that our form holds."""

from __future__ import annotations

from typing import Any

from lavra.dashboards import whole_steps


class NoForm(Exception):
    """An edit has no counterpart in our form."""


def conditions(filters: Any) -> tuple[list[str], str]:
    """Return the SQL conditions and the period among a chart's filters."""
    where, period = [], "No filter"
    for item in filters:
        if item.get("operator") == "TEMPORAL_RANGE":
            period = item.get("comparator") or period
        elif item.get("expressionType") == "SQL" and item.get("clause") == "WHERE":
            if not whole_steps.is_condition(item["sqlExpression"]):
                where.append(item["sqlExpression"])
        elif item.get("clause") == "WHERE" and item.get("subject"):
            where.append(_condition(item))
        else:
            raise NoForm("a filter over a metric has no form; write it as an option")
    return where, period


def _condition(item: dict[str, Any]) -> str:
    column, operator, value = item["subject"], item["operator"], item.get("comparator")
    if operator in {"IS NULL", "IS NOT NULL"}:
        return f"{column} {operator.lower()}"
    if operator in {"IN", "NOT IN"}:
        return f"{column} {operator.lower()} ({', '.join(map(_literal, value or ()))})"
    if operator == "==":
        operator = "="
    elif operator == "!=":
        operator = "<>"
    if operator not in {"=", "<>", "<", ">", "<=", ">=", "LIKE", "ILIKE"}:
        raise NoForm(f"a condition with {operator}")
    return f"{column} {operator.lower()} {_literal(value)}"


def _literal(value: Any) -> str:
    if isinstance(value, (int, float)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
