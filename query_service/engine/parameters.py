"""Parameters of a request as typed scalars; they are bound, never spliced into the text."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from lavra.errors import InvalidRequest

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_TYPES: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "date32": pa.date32(),
    "double": pa.float64(),
    "int64": pa.int64(),
    "string": pa.string(),
    "time64[us]": pa.time64("us"),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
}
_DECIMAL = re.compile(r"^decimal(?:128)?\((?P<precision>\d+), ?(?P<scale>\d+)\)$")


def bind(parameters: list[Any] | dict[str, Any] | None) -> dict[str, pa.Scalar]:
    """Return the placeholders' values by name; the first of a list is ``$1``.

    A value is null, a boolean, a number, a string, a list of those, or
    ``{"type": "<Arrow type>", "value": ...}`` where the type must be exact.

    Raises:
        InvalidRequest: a name or value cannot be bound.
    """
    if not parameters:
        return {}
    if isinstance(parameters, list):
        named = {str(i): value for i, value in enumerate(parameters, start=1)}
    else:
        named = {name.removeprefix("$"): value for name, value in parameters.items()}
        for name in named:
            if not _NAME.match(name):
                raise InvalidRequest(f"{name!r} cannot be a parameter's name.")
    return {name: _scalar(name, value) for name, value in named.items()}


def _scalar(name: str, value: Any) -> pa.Scalar:
    try:
        if isinstance(value, dict):
            if set(value) != {"type", "value"}:
                raise InvalidRequest(
                    f"The parameter ${name} is an object: it needs exactly type and value."
                )
            return _typed(value["value"], _type(name, str(value["type"])))
        return pa.scalar(value)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise InvalidRequest(f"The parameter ${name} cannot be bound: {error}.") from error


def _type(name: str, text: str) -> pa.DataType:
    decimal = _DECIMAL.match(text)
    if decimal:
        return pa.decimal128(int(decimal["precision"]), int(decimal["scale"]))
    if text not in _TYPES:
        known = ", ".join([*_TYPES, "decimal128(p, s)"])
        raise InvalidRequest(f"The parameter ${name} has the unknown type {text!r}: use {known}.")
    return _TYPES[text]


def _typed(value: Any, kind: pa.DataType) -> pa.Scalar:
    if isinstance(value, str) and not pa.types.is_string(kind):
        return pa.scalar(value).cast(kind)
    if pa.types.is_decimal(kind) and value is not None:
        return pa.scalar(str(value)).cast(kind)
    return pa.scalar(value, kind)
