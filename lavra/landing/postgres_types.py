"""Postgres types and what they land as."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from lavra.errors import ConfigurationError, SourceError
from lavra.landing import types
from lavra.landing.connections import Stream
from lavra.landing.types import LandedType, parse_type

_TYPES = {
    "int2": types.INTEGER, "int4": types.INTEGER, "int8": types.INTEGER, "oid": types.INTEGER,
    "float4": types.NUMBER, "float8": types.NUMBER, "bool": types.BOOLEAN, "date": types.DATE,
    "time": types.TIME, "timestamp": types.TIMESTAMP, "timestamptz": types.TIMESTAMP_TZ,
    "json": types.JSON, "jsonb": types.JSON, "bytea": types.BINARY,
}  # fmt: skip


@dataclass(frozen=True)
class PostgresColumn:
    """A column of a table, and the SQL that yields its text for COPY.

    Attributes:
        name: As the table has it.
        type_name: Of the type, or of what a domain is based on; ``array`` for any array.
        kind: What it lands as.
    """

    name: str
    type_name: str
    kind: LandedType

    def expression(self) -> sql.Composable:
        """Return the column as COPY's query selects it."""
        column = sql.Identifier(self.name)
        if self.type_name == "array":
            return sql.SQL("to_json({})").format(column)
        return column


def columns_of(connection: psycopg.Connection, schema: str, stream: Stream) -> list[PostgresColumn]:
    """Return the columns of a table that a stream lands, in the table's order.

    A ``numeric`` without precision lands as a number (a double), as Airbyte does it, unless the
    stream's ``types`` say more; arrays land as JSON; what has no type of ours lands as text.

    Raises:
        SourceError: there is no such table or view, or it may not be read.
        ConfigurationError: a selected or typed column does not exist.
    """
    rows = connection.execute(
        """
        select a.attname, t.typcategory, coalesce(b.typname, t.typname),
               coalesce(nullif(a.atttypmod, -1), t.typtypmod)
        from pg_attribute a
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = t.typbasetype
        where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p', 'v', 'm', 'f')
          and a.attnum > 0 and not a.attisdropped
        order by a.attnum
        """,
        (schema, stream.name),
    ).fetchall()
    if not rows:
        raise SourceError(
            f"There is no table {schema}.{stream.name} at the source.",
            remedy="Correct the stream's `name`, or its `namespace` (the Postgres schema).",
        )
    found = {row[0] for row in rows}
    wanted = set(stream.selected_fields or found)
    if unknown := sorted((wanted | set(stream.types)) - found):
        raise ConfigurationError(
            f"{schema}.{stream.name} has no column {', '.join(unknown)}.",
            remedy=f"Its columns are {', '.join(row[0] for row in rows)}.",
        )
    columns = []
    for name, category, type_name, modifier in rows:
        if name not in wanted:
            continue
        declared = stream.types.get(name)
        kind = parse_type(declared) if declared else landed_type(category, type_name, modifier)
        columns.append(PostgresColumn(name, "array" if category == "A" else type_name, kind))
    return columns


def landed_type(category: str, type_name: str, modifier: int) -> LandedType:
    """Return what a Postgres type lands as, from its category, (base) name and modifier."""
    if category == "A":
        return LandedType(types.JSON)
    if type_name == "numeric":
        return _numeric(modifier)
    return LandedType(_TYPES.get(type_name, types.STRING))


def _numeric(modifier: int) -> LandedType:
    if modifier < 4:
        return LandedType(types.NUMBER)
    precision = (modifier - 4) >> 16 & 0xFFFF
    scale = (modifier - 4) & 0x7FF
    if scale >= 0x400:  # negative: numeric(5,-2) holds whole hundreds
        precision, scale = precision + 0x800 - scale, 0
    if precision > types.MAX_PRECISION or scale > precision:
        return LandedType(types.NUMBER)
    return LandedType(types.DECIMAL, precision, scale)
