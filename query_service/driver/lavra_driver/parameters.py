"""From PEP 249's qmark parameters to the service's ``$1``: bound there, never spliced here."""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from lavra_driver.exceptions import ProgrammingError

Parameters = Sequence[Any] | Mapping[str, Any] | None

# What may hold a question mark that is no placeholder, and the placeholder itself, last.
_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'                         # a string
    | "(?:[^"]|"")*"                         # a quoted name
    | --[^\n]*                               # a comment to the end of the line
    | /\*                                    # a block comment: it nests, so found by counting
    | \$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?(tag)(?P=tag))\$   # a dollar-quoted string
    | \?                                     # a placeholder
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_MOST_DIGITS = 76  # of Arrow's widest decimal


def bind(sql: str, parameters: Parameters) -> tuple[str, list[Any] | dict[str, Any] | None]:
    """Return the SQL and the parameters as the service takes them.

    ``?`` becomes ``$1``, ``$2``, ...; a value that JSON has no form for (a date, say) is sent as
    text and its placeholder stands in a cast, so that it is typed and still bound. SQL that
    holds ``$1`` or ``$name`` itself is sent as it stands.

    Args:
        sql: One statement. Without parameters (None) it is not looked at.
        parameters: A sequence for ``?`` and ``$1``, a mapping for ``$name``.

    Raises:
        ProgrammingError: the numbers of placeholders and parameters differ, or a value has no
            SQL type.
    """
    if parameters is None:
        return sql, None
    if isinstance(parameters, Mapping):
        return sql, {name: _plain(value) for name, value in parameters.items()}
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise ProgrammingError(
            f"parameters must be a list, a tuple or a dict, not {type(parameters).__name__}"
        )
    pieces, count = _split(sql)
    if count == 0 and parameters and re.search(r"\$\d", sql):
        return sql, [_plain(value) for value in parameters]
    if count != len(parameters):
        raise ProgrammingError(
            f"the SQL has {count} placeholders (?), but {len(parameters)} parameters were given"
        )
    if not count:
        return sql, None
    text, values = [pieces[0]], []
    numbers: dict[tuple[str, Any], int] = {}
    for value, piece in zip(parameters, pieces[1:], strict=True):
        encoded, form = encode(value)
        # Equal parameters share a number: an expression with one then equals its repetition in
        # GROUP BY, as the planner demands.
        key = (f"{form} {type(encoded).__name__}", encoded)
        if key not in numbers:
            values.append(encoded)
            numbers[key] = len(values)
        text.append(form.format(f"${numbers[key]}"))
        text.append(piece)
    return "".join(text), values


def _split(sql: str) -> tuple[list[str], int]:
    """Cut the SQL at its placeholders; n of them give n + 1 pieces."""
    pieces, start, position = [], 0, 0
    while match := _TOKEN.search(sql, position):
        position = match.end()
        if match.group() == "/*":
            position = _comment_end(sql, position)
        elif match.group() == "?":
            pieces.append(sql[start : match.start()])
            start = position
    pieces.append(sql[start:])
    return pieces, len(pieces) - 1


def _comment_end(sql: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(sql, position)
        if edge is None:
            return len(sql)
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position


def encode(value: Any) -> tuple[Any, str]:  # noqa: C901, PLR0911, PLR0912
    """Return a value's JSON form, and the SQL around its placeholder that gives it its type.

    Raises:
        ProgrammingError: the value has no SQL type here.
    """
    if value is None or isinstance(value, (bool, str)):
        return value, "{}"
    if isinstance(value, int):
        if -(2**63) <= value < 2**63:
            return value, "{}"
        return _decimal(Decimal(value))
    if isinstance(value, float):
        return (value, "{}") if math.isfinite(value) else (str(value), "CAST({} AS DOUBLE)")
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, dt.datetime):
        return _utc(value).isoformat(sep=" "), "CAST({} AS TIMESTAMP(6))"
    if isinstance(value, dt.date):
        return value.isoformat(), "CAST({} AS DATE)"
    if isinstance(value, dt.time):
        if value.tzinfo is not None:
            raise ProgrammingError("a time of day with a zone has no SQL type here")
        return value.isoformat(), "arrow_cast({}, 'Time64(Microsecond)')"
    if isinstance(value, dt.timedelta):
        return interval_text(value), "CAST({} AS INTERVAL)"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex(), "decode({}, 'hex')"
    if isinstance(value, uuid.UUID):
        return str(value), "{}"
    if hasattr(value, "item"):  # a NumPy scalar
        return encode(value.item())
    raise ProgrammingError(f"a parameter of type {type(value).__name__} has no SQL type here")


def interval_text(value: dt.timedelta) -> str:
    """Return a span as SQL reads it: whole days apart, as columns hold and compare them."""
    sign, span = ("-", -value) if value < dt.timedelta(0) else ("", value)
    microseconds = (span - dt.timedelta(span.days)) // dt.timedelta(microseconds=1)
    return f"{sign}{span.days} days {sign}{microseconds} microseconds"


def _plain(value: Any) -> Any:
    """Encode a value whose placeholder is not ours to cast."""
    encoded, _ = encode(value)
    return encoded


def _decimal(value: Decimal) -> tuple[str, str]:
    if not value.is_finite():
        return str(value), "CAST({} AS DOUBLE)"
    _, digits, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    precision = max(len(digits) + max(0, int(exponent)), scale, 1)
    if precision > _MOST_DIGITS:
        raise ProgrammingError(f"a decimal of {precision} digits has no SQL type here")
    return format(value, "f"), f"CAST({{}} AS DECIMAL({precision}, {scale}))"


def _utc(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        return value
    return value.astimezone(dt.timezone.utc).replace(tzinfo=None)
