"""Which batches of a held table a statement can need, by what its filters say.

DataFusion reads a table in memory whole. So a statement's optimized plan is looked at first: a
filter directly above a scan, compared with the least and greatest value of each batch, tells which
batches may hold a row that passes. The statement is then planned again over those.

Only what is certain leaves a batch out: AND, OR, and comparisons of a column with a constant of the
column's own type. Everything else may be true. A table of which some scan was not seen, because it
stands in a subquery that the plan keeps as an expression, is left whole.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from query_service.cache.statistics import BatchStatistics

TableKey = tuple[str, str]
"""Schema and table."""

MOST_LISTED = 100
"""An ``IN`` of more values is not looked at."""

_SWAPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def batches_needed(
    plan: Any, statistics_of: Callable[[TableKey], BatchStatistics | None]
) -> dict[TableKey, list[bool]]:
    """Return for each held table which of its batches an optimized plan can need.

    Args:
        plan: DataFusion's LogicalPlan, as it will be executed.
        statistics_of: Of a held table; None for one that is left as it is.

    Returns:
        By table, one value for each batch. Tables of which all is needed may be missing.
    """
    needed: dict[TableKey, pa.BooleanArray] = {}
    whole: set[TableKey] = set()
    seen = 0
    for scan, predicates in filtered_scans(plan):
        seen += 1
        _, schema, table = scan.fqn()
        key = (schema or "", table)
        statistics = statistics_of(key)
        if statistics is None or key in whole:
            continue
        found = None
        for predicate in [*predicates, *scan.filters()]:
            found = _and(found, _may_pass(predicate, statistics))
        if found is None:
            whole.add(key)
            needed.pop(key, None)
        else:
            needed[key] = found if key not in needed else pc.or_(needed[key], found)
    if needed and str(plan.display_indent()).count("TableScan:") != seen:
        return {}
    return {key: found.to_pylist() for key, found in needed.items()}


def filtered_scans(plan: Any, filters: Sequence[Any] = ()) -> Iterator[tuple[Any, Sequence[Any]]]:
    """Yield the scans below a plan, each with the filters that stand directly above it."""
    try:
        node = plan.to_variant()
    except Exception:  # noqa: BLE001 - a node that Python has no class for
        node = None
    kind = type(node).__name__
    if node is not None and kind == "TableScan":
        yield node, filters
        return
    above = [*filters, node.predicate()] if node is not None and kind == "Filter" else []
    for below in plan.inputs():
        yield from filtered_scans(below, above)


def _may_pass(expression: Any, statistics: BatchStatistics) -> pa.BooleanArray | None:
    """Return for each batch whether some row of it may make an expression true; None: any may."""
    kind = expression.variant_name()
    if kind == "BinaryExpr":
        operator = expression.rex_call_operator()
        left, right = expression.rex_call_operands()
        if operator == "AND":
            return _and(_may_pass(left, statistics), _may_pass(right, statistics))
        if operator == "OR":
            either = _may_pass(left, statistics), _may_pass(right, statistics)
            return None if None in either else pc.or_(*either)
        if operator not in _SWAPPED:
            return None
        if left.variant_name() == "Literal":
            left, right, operator = right, left, _SWAPPED[operator]
        return _compared(left, operator, right, statistics)
    return _listed(expression, statistics) if kind == "InList" else None


def _listed(expression: Any, statistics: BatchStatistics) -> pa.BooleanArray | None:
    column, *values = expression.rex_call_operands()
    if expression.to_variant().negated() or not 0 < len(values) <= MOST_LISTED:
        return None
    result = _compared(column, "=", values[0], statistics)
    for value in values[1:]:
        found = _compared(column, "=", value, statistics)
        result = None if result is None or found is None else pc.or_(result, found)
    return result


def _compared(
    column: Any, operator: str, literal: Any, statistics: BatchStatistics
) -> pa.BooleanArray | None:
    if column.variant_name() != "Column":
        return None
    known = statistics.columns.get(column.to_variant().name())
    if known is None:
        return None
    least, greatest = known
    value = constant(literal, least.type)
    if value is None:
        return None
    match operator:
        case "=":
            found = pc.and_(pc.less_equal(least, value), pc.greater_equal(greatest, value))
        case "!=":
            found = pc.or_(pc.not_equal(least, value), pc.not_equal(greatest, value))
        case "<":
            found = pc.less(least, value)
        case "<=":
            found = pc.less_equal(least, value)
        case ">":
            found = pc.greater(greatest, value)
        case _:
            found = pc.greater_equal(greatest, value)
    # A batch without a value: no comparison with null is true.
    return pc.fill_null(found, False)


def constant(literal: Any, kind: pa.DataType) -> pa.Scalar | None:
    """Return a constant as a value of a column's type; None where it is not surely the same."""
    if literal.variant_name() != "Literal":
        return None
    try:
        value = literal.python_value()
        if isinstance(value, pa.Scalar):
            value = value.as_py()
        if value is None or isinstance(value, float | bool | str):
            return None
        if pa.types.is_timestamp(kind):
            if not isinstance(value, dt.datetime) or (value.tzinfo is None) != (kind.tz is None):
                return None
        elif isinstance(value, dt.datetime):
            return None
        made = pa.scalar(value, kind)
    except Exception:  # noqa: BLE001 - a value that Python has no type for
        return None
    return made if made.as_py() == value else None


def _and(left: pa.BooleanArray | None, right: pa.BooleanArray | None) -> pa.BooleanArray | None:
    if left is None or right is None:
        return right if left is None else left
    return pc.and_(left, right)
