"""PEP 249's type objects and constructors, and the SQL names and Python values of Arrow types."""

from __future__ import annotations

import datetime as dt
import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


class TypeObject:
    """Equal to each type code (a SQL type name) of its kind, as PEP 249 asks."""

    def __init__(self, name: str, *kinds: str) -> None:
        self.name = name
        self.kinds = frozenset(kinds)

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TypeObject):
            return self.name == other.name
        return isinstance(other, str) and re.split(r"[( <]", other, maxsplit=1)[0] in self.kinds

    def __hash__(self) -> int:
        return hash(self.name)


STRING = TypeObject("STRING", "VARCHAR")
BINARY = TypeObject("BINARY", "BINARY")
NUMBER = TypeObject(
    "NUMBER", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN"
)
DATETIME = TypeObject("DATETIME", "DATE", "TIME", "TIMESTAMP", "INTERVAL")
ROWID = TypeObject("ROWID")

Binary = bytes
Date = dt.date
Time = dt.time
Timestamp = dt.datetime


def DateFromTicks(ticks: float) -> dt.date:  # noqa: N802 - the name is PEP 249's
    """Return the local date of a time in seconds since the epoch."""
    return dt.date(*time.localtime(ticks)[:3])


def TimeFromTicks(ticks: float) -> dt.time:  # noqa: N802 - the name is PEP 249's
    """Return the local time of day of a time in seconds since the epoch."""
    return dt.time(*time.localtime(ticks)[3:6])


def TimestampFromTicks(ticks: float) -> dt.datetime:  # noqa: N802 - the name is PEP 249's
    """Return the local date and time of a time in seconds since the epoch."""
    return dt.datetime(*time.localtime(ticks)[:6])  # noqa: DTZ001 - PEP 249 wants local and naive


_BY_ARROW_NAME = {
    "null": "NULL",
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "SMALLINT",
    "uint16": "INTEGER",
    "uint32": "BIGINT",
    "uint64": "DECIMAL(20, 0)",
    "halffloat": "FLOAT",
    "float16": "FLOAT",
    "float": "FLOAT",
    "float32": "FLOAT",
    "double": "DOUBLE",
    "float64": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "string_view": "VARCHAR",
    "utf8": "VARCHAR",
    "large_utf8": "VARCHAR",
    "utf8_view": "VARCHAR",
    "binary": "BINARY",
    "large_binary": "BINARY",
    "binary_view": "BINARY",
    "date32": "DATE",
    "date64": "DATE",
}
_BY_ARROW_PREFIX = {
    "timestamp": "TIMESTAMP",
    "time32": "TIME",
    "time64": "TIME",
    "date32": "DATE",
    "date64": "DATE",
    "duration": "INTERVAL",
    "interval": "INTERVAL",
    "month_interval": "INTERVAL",
    "day_time_interval": "INTERVAL",
    "month_day_nano_interval": "INTERVAL",
    "fixed_size_binary": "BINARY",
    "list": "ARRAY",
    "large_list": "ARRAY",
    "fixed_size_list": "ARRAY",
    "list_view": "ARRAY",
    "struct": "STRUCT",
    "map": "MAP",
}


def sql_type(arrow_name: str) -> str:
    """Return the SQL name of a type given by its Arrow name, as ``str(pyarrow.DataType)`` has it.

    A name that is not Arrow's (a SQL name already, say) is returned in capitals.
    """
    name = arrow_name.strip()
    lowered = name.lower()
    if lowered in _BY_ARROW_NAME:
        return _BY_ARROW_NAME[lowered]
    decimal = re.match(r"decimal(?:32|64|128|256)?\((\d+), ?(-?\d+)\)", lowered)
    if decimal:
        return f"DECIMAL({decimal[1]}, {decimal[2]})"
    dictionary = re.match(r"dictionary<values=(.+), indices=.*>", name)
    if dictionary:
        return sql_type(dictionary[1])
    prefix = re.split(r"[\[<(]", lowered, maxsplit=1)[0]
    return _BY_ARROW_PREFIX.get(prefix, name.upper())


def describe(field: pa.Field) -> tuple[str, str, None, None, int | None, int | None, bool]:
    """Return PEP 249's seven-item description of a result column."""
    name = sql_type(str(field.type))
    decimal = re.match(r"DECIMAL\((\d+), (-?\d+)\)", name)
    precision = int(decimal[1]) if decimal else None
    scale = int(decimal[2]) if decimal else None
    return field.name, name, None, None, precision, scale, field.nullable


def rows_of(batch: pa.RecordBatch) -> list[tuple[Any, ...]]:
    """Return a batch as Python rows.

    Timestamps are naive and UTC, whatever zone the column states; nanoseconds are cut to
    microseconds, all that ``datetime`` holds. Durations and intervals without months are
    ``timedelta``, decimals ``Decimal``, lists ``list``, structs ``dict``, maps lists of pairs.
    """
    columns = [_values(batch.column(i)) for i in range(batch.num_columns)]
    if not columns:
        return [()] * batch.num_rows
    return list(zip(*columns, strict=True))


def _values(column: pa.Array) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_timestamp(kind) and (kind.tz is not None or kind.unit == "ns"):
        # The stored instant is UTC already: dropping the zone does not move it.
        unit = "us" if kind.unit == "ns" else kind.unit
        column = column.cast(pa.timestamp(unit, tz=kind.tz), safe=False)
        column = column.view(pa.timestamp(unit))
    elif pa.types.is_time64(kind) and kind.unit == "ns":
        column = column.cast(pa.time64("us"), safe=False)
    elif pa.types.is_duration(kind) and kind.unit == "ns":
        column = column.cast(pa.duration("us"), safe=False)
    values: list[Any] = column.to_pylist()
    convert = _converter(kind)
    return [None if v is None else convert(v) for v in values] if convert else values


def _converter(kind: pa.DataType) -> Callable[[Any], Any] | None:
    import pyarrow as pa

    return _interval if pa.types.is_interval(kind) else None


def _interval(value: Any) -> Any:
    """Turn Arrow's (months, days, nanoseconds) into a timedelta where there are no months."""
    if value.months:
        return value
    return dt.timedelta(days=value.days, microseconds=value.nanoseconds // 1000)
