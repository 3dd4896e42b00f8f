"""SQLAlchemy types of the service's columns, and how their values are written in SQL."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import types
from sqlalchemy.sql import sqltypes, type_api

from lavra_driver.parameters import interval_text
from lavra_driver.types import sql_type

if TYPE_CHECKING:
    from collections.abc import Callable

Processor = "Callable[[Any], Any] | None"


class LavraDate(types.Date):
    """A date, written ``DATE '2024-01-31'``."""

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        """Return the writer of a literal."""
        return lambda value: f"DATE '{value.isoformat()}'"


class LavraDateTime(types.DateTime):
    """A timestamp in UTC, written ``TIMESTAMP(6) '2024-01-31 12:00:00'``.

    In microseconds, as the lake holds it: a bare ``TIMESTAMP`` ends in the year 2262.
    """

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        """Return the writer of a literal."""

        def write(value: dt.datetime) -> str:
            if value.tzinfo is not None:
                value = value.astimezone(dt.timezone.utc).replace(tzinfo=None)
            return f"TIMESTAMP(6) '{value.isoformat(sep=' ')}'"

        return write


class LavraTime(types.Time):
    """A time of day, written as one in microseconds, the lake's: ``TIME`` has nanoseconds."""

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        """Return the writer of a literal."""
        return lambda value: f"arrow_cast('{value.isoformat()}', 'Time64(Microsecond)')"


class LavraInterval(type_api.NativeForEmulated, sqltypes._AbstractInterval):
    """A span of time; the driver speaks timedelta."""

    __visit_name__ = "INTERVAL"
    native = True

    @classmethod
    def adapt_emulated_to_native(cls, interval: Any, **kw: Any) -> LavraInterval:
        """Return it for SQLAlchemy's own type, which would count from 1970 otherwise."""
        return cls()

    @property
    def _type_affinity(self) -> Any:
        return types.Interval

    @property
    def python_type(self) -> type[dt.timedelta]:
        """What its values are."""
        return dt.timedelta

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Compare with spans."""
        return self

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        """Return the writer of a literal."""
        return lambda value: f"INTERVAL '{interval_text(value)}'"


class LavraNumeric(types.Numeric):
    """A decimal; a column that answers floats is turned into decimals, or the other way round."""

    def bind_processor(self, dialect: Any) -> None:
        """Leave the value to the driver."""

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        """Return the reader of a value."""
        if not self.asdecimal:
            return lambda value: None if value is None else float(value)

        def read(value: Any) -> Any:
            return decimal.Decimal(str(value)) if isinstance(value, (float, int)) else value

        return read


class LavraFloat(types.Float):
    """A float, read as a decimal where the column asks for one."""

    def bind_processor(self, dialect: Any) -> None:
        """Leave the value to the driver."""

    def result_processor(self, dialect: Any, coltype: Any) -> Callable[[Any], Any]:
        """Return the reader of a value."""
        if not self.asdecimal:
            return lambda value: None if value is None else float(value)
        scale = self.decimal_return_scale or 10

        def read(value: Any) -> Any:
            return None if value is None else decimal.Decimal(f"{value:.{scale}f}")

        return read


COLSPECS: dict[type[Any], type[Any]] = {
    types.Date: LavraDate,
    types.DateTime: LavraDateTime,
    types.Time: LavraTime,
    types.Interval: LavraInterval,
    types.Numeric: LavraNumeric,
    types.Float: LavraFloat,
}

_PLAIN: dict[str, type[Any]] = {
    "BOOLEAN": types.BOOLEAN,
    "TINYINT": types.SMALLINT,
    "SMALLINT": types.SMALLINT,
    "INTEGER": types.INTEGER,
    "BIGINT": types.BIGINT,
    "FLOAT": types.FLOAT,
    "DOUBLE": types.FLOAT,
    "VARCHAR": types.VARCHAR,
    "BINARY": types.LargeBinary,
    "DATE": types.DATE,
    "TIME": types.TIME,
    "TIMESTAMP": types.TIMESTAMP,
    "INTERVAL": LavraInterval,
}


def type_of(name: str) -> Any:
    """Return the SQLAlchemy type of a column by the name of its Arrow (or SQL) type.

    Lists, structs, maps and what has no counterpart are ``NullType``: values pass unchanged.
    """
    shown = sql_type(name)
    decimal_ = re.match(r"(?:DECIMAL|NUMERIC)\((\d+), ?(-?\d+)\)", shown)
    if decimal_:
        return types.DECIMAL(int(decimal_[1]), int(decimal_[2]))
    plain = _PLAIN.get(_ALIASES.get(shown, shown))
    if plain is None:
        return types.NullType()
    return plain()


_ALIASES = {
    "TEXT": "VARCHAR",
    "STRING": "VARCHAR",
    "INT": "INTEGER",
    "REAL": "FLOAT",
    "DECIMAL": "DOUBLE",
    "HUGEINT": "DOUBLE",
    "UUID": "VARCHAR",
    "JSON": "VARCHAR",
    "BLOB": "BINARY",
    "BYTEA": "BINARY",
    "TIMESTAMPTZ": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "DATETIME": "TIMESTAMP",
}
