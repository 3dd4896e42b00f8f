"""The types that a landed column may have: their names in YAML, in Arrow and in SQL.

Names are Airbyte's own (``timestamp_with_timezone`` and so on), plus ``decimal(p,s)``, since
Airbyte's ``number`` is a double and money must not be one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from lavra.errors import ConfigurationError

STRING: Final = "string"
BOOLEAN: Final = "boolean"
INTEGER: Final = "integer"
NUMBER: Final = "number"
DECIMAL: Final = "decimal"
DATE: Final = "date"
TIME: Final = "time_without_timezone"
TIMESTAMP: Final = "timestamp_without_timezone"
TIMESTAMP_TZ: Final = "timestamp_with_timezone"
JSON: Final = "json"
BINARY: Final = "binary"

MAX_PRECISION = 38

_ARROW: dict[str, pa.DataType] = {
    STRING: pa.string(),
    BOOLEAN: pa.bool_(),
    INTEGER: pa.int64(),
    NUMBER: pa.float64(),
    DATE: pa.date32(),
    TIME: pa.time64("us"),
    TIMESTAMP: pa.timestamp("us"),
    TIMESTAMP_TZ: pa.timestamp("us", "UTC"),
    JSON: pa.string(),
    BINARY: pa.binary(),
}

_DECIMAL = re.compile(r"decimal\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)")

_TRUE = "('true', 't', 'yes', 'y', 'sim', 's', '1')"
_FALSE = "('false', 'f', 'no', 'n', 'nao', 'não', '0')"


@dataclass(frozen=True)
class LandedType:
    """The type of one landed column.

    Args:
        name: One of the names above.
        precision: Digits of a decimal, at most 38.
        scale: Digits of a decimal after the point.
        format: How a date or timestamp is written, as ``strptime`` says it; None is ISO 8601.
        decimal_comma: Whether numbers are written as ``1.234,56``.
    """

    name: str
    precision: int = 0
    scale: int = 0
    format: str | None = None
    decimal_comma: bool = False

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.name == DECIMAL else self.name

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the column in Bronze."""
        if self.name == DECIMAL:
            return pa.decimal128(self.precision, self.scale)
        return _ARROW[self.name]

    def sql_from_text(self, column: str) -> str:
        """Return DuckDB SQL that turns a text column into this type, or null where it cannot.

        Args:
            column: The quoted name of the column.
        """
        if self.name == STRING:
            return column
        text = f"trim({column})"
        if self.decimal_comma and self.name in {INTEGER, NUMBER, DECIMAL}:
            text = f"replace(replace({text}, '.', ''), ',', '.')"
        return _sql_from_text(self, text)


# DuckDB's casts are kinder than a contract may be ('1.5' to 2, '1.239' to 1.24), so some are
# guarded by the form that loses nothing.
_GUARDED = "case when regexp_full_match({text}, '{form}') then {cast} end"
_FINITE = "case when isfinite({cast}) then {cast} end"
_ISO_CASTS = {
    BOOLEAN: f"case when lower({{text}}) in {_TRUE} then true "
    f"when lower({{text}}) in {_FALSE} then false end",
    NUMBER: "try_cast({text} as double)",
    TIME: "try_cast({text} as time)",
    TIMESTAMP: _FINITE.format(cast="try_cast({text} as timestamp)"),
    TIMESTAMP_TZ: _FINITE.format(cast="try_cast({text} as timestamptz)"),
    JSON: "case when json_valid({text}) then {text} end",
    BINARY: "encode({text})",
}
_GUARDS = {
    INTEGER: (r"[+-]?[0-9]+(\.0*)?", "bigint"),
    DATE: ("[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", "date"),
}
_WRITTEN = {DATE: "date", TIMESTAMP: "timestamp", TIMESTAMP_TZ: "timestamptz"}


def _sql_from_text(kind: LandedType, text: str) -> str:
    if kind.format and kind.name in _WRITTEN:
        return f"cast(try_strptime({text}, '{kind.format}') as {_WRITTEN[kind.name]})"
    if kind.name in _ISO_CASTS:
        return _ISO_CASTS[kind.name].format(text=text)
    if kind.name == DECIMAL:
        form = rf"[+-]?[0-9]*(\.[0-9]{{0,{kind.scale}}}0*)?"
        target = f"decimal({kind.precision},{kind.scale})"
    else:
        form, target = _GUARDS[kind.name]
    return _GUARDED.format(text=text, form=form, cast=f"try_cast({text} as {target})")


def type_pattern() -> str:
    """Return a regular expression of the names that :func:`parse_type` takes, for a JSON schema.

    It cannot compare numbers: a scale above the precision passes.
    """
    digits = r"0*([1-9]|[12]\d|3[0-8])"
    decimal = rf"[dD][eE][cC][iI][mM][aA][lL]\s*\(\s*{digits}\s*,\s*0*([0-9]|[12]\d|3[0-8])\s*\)"
    names = (
        "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in name) for name in sorted(_ARROW)
    )
    return rf"^\s*({'|'.join(names)}|{decimal})\s*$"


def parse_type(text: str) -> LandedType:
    """Return the type that YAML names, for instance ``integer`` or ``decimal(18,2)``.

    Raises:
        ConfigurationError: there is no such type.
    """
    name = text.strip().lower()
    if found := _DECIMAL.fullmatch(name):
        precision, scale = int(found[1]), int(found[2])
        if 1 <= precision <= MAX_PRECISION and scale <= precision:
            return LandedType(DECIMAL, precision, scale)
    if name in _ARROW:
        return LandedType(name)
    raise ConfigurationError(
        f"{text!r} is not a type.",
        remedy=f"Use one of {', '.join(sorted(_ARROW))}, or decimal(p,s) with p up to 38.",
    )
