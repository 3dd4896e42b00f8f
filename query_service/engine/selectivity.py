"""How much of a table a statement's filters keep, as far as can be said before it runs.

DataFusion knows the number of rows of a table in memory and nothing of its values, so it takes
every filter to keep the same share (``default_filter_selectivity``, 20% if nobody says otherwise)
and by that chooses which side of a join it builds a hash table of. A wrong guess builds it of the
large side. So the share is guessed for each statement that joins: from the least and greatest
values of the batches where a range can be compared with them, otherwise by the customary constants
(Selinger et al., "Access path selection in a relational database management system", 1979).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from query_service.engine.pruning import TableKey, constant, filtered_scans

if TYPE_CHECKING:
    from query_service.cache.statistics import BatchStatistics

SHARES = (1, 5, 20, 60)
"""The guesses that are told apart, in percent."""

EQUAL, LIKE, RANGE, UNKNOWN = 0.05, 0.1, 1 / 3, 0.2
_CUSTOMARY = {"=": EQUAL, "!=": 1 - EQUAL, "IsNull": EQUAL, "IsNotNull": 1 - EQUAL, "Like": LIKE}

_OPPOSITE = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def share_kept(
    plan: Any,
    rows_of: Callable[[TableKey], int],
    statistics_of: Callable[[TableKey], BatchStatistics | None],
) -> int | None:
    """Return the share, one of :data:`SHARES`, that the filters of a plan keep.

    The largest filtered table decides: it is the one that must not be built. A plan whose only
    filters stand above aggregates (``HAVING``) is taken to keep the least.

    Args:
        plan: DataFusion's optimized LogicalPlan.
        rows_of: The number of rows of a table.
        statistics_of: Of a held table; None where there are none.

    Returns:
        None for a plan that joins nothing: its filters decide nothing.
    """
    if " Join:" not in str(plan.display_indent()):
        return None
    most, share = -1, 0.0
    for scan, predicates in filtered_scans(plan):
        _, schema, table = scan.fqn()
        key = (schema or "", table)
        filters = [*predicates, *scan.filters()]
        if filters and rows_of(key) > most:
            most = rows_of(key)
            share = math.prod(_kept(each, statistics_of(key)) for each in filters)
    return next((known for known in reversed(SHARES) if share * 100 >= known), SHARES[0])


def _kept(expression: Any, statistics: BatchStatistics | None) -> float:
    """Return the share of rows, 0 to 1, that makes an expression true."""
    kind = expression.variant_name()
    if kind == "BinaryExpr":
        return _compared(expression, statistics)
    if kind == "Not":
        return 1 - _kept(expression.rex_call_operands()[0], statistics)
    if kind == "InList":
        share = min(0.5, EQUAL * (len(expression.rex_call_operands()) - 1))
    else:
        share = _CUSTOMARY.get(kind, UNKNOWN)
    is_negated = kind in {"InList", "Like"} and expression.to_variant().negated()
    return 1 - share if is_negated else share


def _compared(expression: Any, statistics: BatchStatistics | None) -> float:
    operator = expression.rex_call_operator()
    left, right = expression.rex_call_operands()
    if operator == "AND":
        return _kept(left, statistics) * _kept(right, statistics)
    if operator == "OR":
        return min(1.0, _kept(left, statistics) + _kept(right, statistics))
    if operator not in _OPPOSITE:
        return _CUSTOMARY.get(operator, UNKNOWN)
    if left.variant_name() == "Literal":
        left, right, operator = right, left, _OPPOSITE[operator]
    below = _share_below(left, right, statistics)
    if below is None:
        return RANGE
    return below if operator.startswith("<") else 1 - below


def _share_below(column: Any, literal: Any, statistics: BatchStatistics | None) -> float | None:
    """Return the share of a column's values below a constant, taken as evenly spread."""
    if statistics is None or column.variant_name() != "Column":
        return None
    known = statistics.columns.get(column.to_variant().name())
    value = constant(literal, known[0].type) if known else None
    if known is None or value is None:
        return None
    ends = pc.min(known[0]).as_py(), value.as_py(), pc.max(known[1]).as_py()
    if None in ends:
        return None
    least, at, greatest = map(_number, ends)
    if greatest == least:
        return float(at > least)
    return min(1.0, max(0.0, (at - least) / (greatest - least)))


def _number(value: dt.date | Decimal | int) -> float:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=value.tzinfo or dt.UTC).timestamp()
    return float(value.toordinal() if isinstance(value, dt.date) else value)
