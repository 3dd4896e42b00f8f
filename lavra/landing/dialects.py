"""The shim over what a real Airbyte writes: each of its dialects read as the Bronze contract.

``gcs_legacy`` is destination-gcs 0.4.x: ``_airbyte_ab_id`` and ``_airbyte_emitted_at``, no
generation, ``_airbyte_additional_properties`` in every record, and a date-time as
``struct<member0: timestamp, member1: string>``, a union with the text it could not parse.
``v2`` is destination-s3 from 1.0 on: the contract's own columns, with the time in milliseconds or
as a number. Both are read by DuckDB; a file's own schema, from its footer, decides the SQL.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

from lavra.errors import ContractError
from lavra.landing import types
from lavra.landing.bronze_writer import CONTRACT, EXTRACTED_AT, GENERATION_ID, META, RAW_ID

Dialect = Literal["gcs_legacy", "v2"]

EXTRAS = "_airbyte_additional_properties"
_MEMBER = re.compile(r"member\d+")
_COLUMNS: dict[Dialect, dict[str, str]] = {
    "gcs_legacy": {"_airbyte_ab_id": RAW_ID, "_airbyte_emitted_at": EXTRACTED_AT},
    "v2": {RAW_ID: RAW_ID, EXTRACTED_AT: EXTRACTED_AT, GENERATION_ID: GENERATION_ID, META: META},
}
_META_SQL = (
    "STRUCT(sync_id BIGINT, changes STRUCT(field VARCHAR, change VARCHAR, reason VARCHAR)[])"
)
_CONTRACT_SQL = {
    RAW_ID: "VARCHAR", EXTRACTED_AT: "TIMESTAMPTZ", META: _META_SQL, GENERATION_ID: "BIGINT",
}  # fmt: skip
_LANDED = (
    (pa.types.is_boolean, types.BOOLEAN),
    (pa.types.is_integer, types.INTEGER),
    (pa.types.is_floating, types.NUMBER),
    (pa.types.is_date, types.DATE),
    (pa.types.is_time, types.TIME),
    (pa.types.is_nested, types.JSON),
    (pa.types.is_binary, types.BINARY),
)


@dataclass(frozen=True)
class Value:
    """An SQL expression over a file's columns, and the Arrow type of what it yields."""

    sql: str
    type: pa.DataType


@dataclass(frozen=True)
class Shape:
    """What a file of a dialect holds.

    Args:
        dialect: The dialect in which it was written.
        schema: The file's own schema.
    """

    dialect: Dialect
    schema: pa.Schema

    @cached_property
    def digest(self) -> str:
        """The same for every file of the same columns and types, in whatever order."""
        fields = sorted(f"{field.name}\0{field.type}" for field in self.schema)
        return hashlib.sha256("\n".join(fields).encode()).hexdigest()

    def check(self, place: str) -> None:
        """Check that a file is of the dialect.

        Raises:
            ContractError: it lacks a column; the message names the dialect that it has, if any.
        """
        missing = [name for name in _COLUMNS[self.dialect] if name not in self.schema.names]
        if not missing:
            return
        others = [
            name
            for name, columns in _COLUMNS.items()
            if all(column in self.schema.names for column in columns)
        ]
        said = f"It is {others[0]}: say so" if others else "Say gcs_legacy or v2, as it is,"
        raise ContractError(
            f"{place} is not of the dialect {self.dialect}: it has no column {missing[0]}.",
            remedy=f"{said} in the connection's `destination: {{dialect: ...}}`.",
        )

    def columns(self) -> dict[str, Value]:
        """Return the stream's own columns as the contract has them."""
        taken = {*_COLUMNS[self.dialect], EXTRAS}
        return {
            field.name: _value(quoted(field.name), field.type)
            for field in self.schema
            if field.name not in taken
        }

    def contract(self, generation_id: int, sync_id: int) -> dict[str, Value]:
        """Return the contract's columns; numbers that the dialect lacks are the manifest's."""
        names = {ours: theirs for theirs, ours in _COLUMNS[self.dialect].items()}
        found = {
            RAW_ID: f"CAST({quoted(names[RAW_ID])} AS VARCHAR)",
            EXTRACTED_AT: _instant(
                quoted(names[EXTRACTED_AT]), self.schema.field(names[EXTRACTED_AT]).type
            ),
            META: f"CAST({{'sync_id': {sync_id}, 'changes': []}} AS {_META_SQL})",
            GENERATION_ID: f"CAST({generation_id} AS BIGINT)",
        }
        if META in names:
            is_text = pa.types.is_string(self.schema.field(META).type)
            meta = f"CAST({quoted(META)} AS JSON)" if is_text else quoted(META)
            found[META] = f"CAST({meta} AS {_META_SQL})"
            found[GENERATION_ID] = f"CAST({quoted(GENERATION_ID)} AS BIGINT)"
        return {name: Value(sql, CONTRACT.field(name).type) for name, sql in found.items()}


def quoted(name: str) -> str:
    """Return a name as SQL's identifier."""
    return '"' + name.replace('"', '""') + '"'


def landed_type(kind: pa.DataType) -> str:
    """Return the name, in :mod:`lavra.landing.types`, of an Arrow type."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return types.TIMESTAMP_TZ if kind.tz else types.TIMESTAMP
    return next((name for is_one, name in _LANDED if is_one(kind)), types.STRING)


@dataclass(frozen=True)
class Target:
    """The type that a model declares for a column.

    Args:
        sql: As DuckDB writes it.
        structure: Of a nested type: its form as DuckDB's ``from_json`` takes it.
    """

    sql: str
    structure: str | None = None


def cast_sql(value: Value, target: Target) -> str:
    """Return SQL that casts a value to a model's type, also between text and structures.

    A structure becomes JSON text; JSON text becomes a structure by name, null where it has none.
    """
    if pa.types.is_nested(value.type) and target.structure is None:
        return f"CAST(TO_JSON({value.sql}) AS {target.sql})"
    if target.structure is not None and pa.types.is_string(value.type):
        form = target.structure.replace("'", "''")
        return f"CAST(FROM_JSON(TRY_CAST({value.sql} AS JSON), '{form}') AS {target.sql})"
    return f"CAST({value.sql} AS {target.sql})"


def contract_type(name: str) -> str:
    """Return the DuckDB type of a column of the contract."""
    return _CONTRACT_SQL[name]


def count_extras(columns: Mapping[str, int]) -> int:
    """Return how many additional properties a file holds, from its values by Parquet path."""
    return sum(
        count for path, count in columns.items()
        if EXTRAS in path.split(".") and path.endswith(".key")
    )  # fmt: skip


def _instant(column: str, kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return f"MAKE_TIMESTAMP(CAST({column} AS BIGINT) * 1000) AT TIME ZONE 'UTC'"
    if pa.types.is_timestamp(kind) and kind.tz:
        return f"CAST({column} AS TIMESTAMPTZ)"
    return f"CAST({column} AS TIMESTAMP) AT TIME ZONE 'UTC'"


def _value(sql: str, kind: pa.DataType) -> Value:
    if pa.types.is_struct(kind):
        return _struct(sql, [kind.field(place) for place in range(kind.num_fields)], kind)
    if pa.types.is_list(kind):
        name = f"item{sql.count('item')}"  # a list within a list needs another name
        element = _value(name, kind.value_type)
        if element.type != kind.value_type:
            made = f"LIST_TRANSFORM({sql}, LAMBDA {name} : {element.sql})"
            return Value(made, pa.list_(element.type))
    return Value(sql, kind)


def _struct(sql: str, fields: list[pa.Field], kind: pa.DataType) -> Value:
    own = [field for field in fields if field.name != EXTRAS]
    if own and all(_MEMBER.fullmatch(field.name) for field in own):
        return _union(sql, own)
    if not own:  # an object without declared properties: all that it holds is there
        return Value(f"CAST(TO_JSON({sql}.{quoted(EXTRAS)}) AS VARCHAR)", pa.string())
    inner = {field.name: _value(f"{sql}.{quoted(field.name)}", field.type) for field in own}
    if own == fields and all(inner[field.name].type == field.type for field in own):
        return Value(sql, kind)
    packed = ", ".join(f"{quoted(name)} := {value.sql}" for name, value in inner.items())
    new = pa.struct([(name, value.type) for name, value in inner.items()])
    return Value(f"CASE WHEN {sql} IS NOT NULL THEN STRUCT_PACK({packed}) END", new)


def _union(sql: str, members: list[pa.Field]) -> Value:
    """Return a union's value: its first member that is no text, else the text read as that.

    A union of several such types has no type of its own but text.
    """
    kinds = [field.type for field in members if not pa.types.is_string(field.type)]
    parts = [f"{sql}.{quoted(field.name)}" for field in members]
    if len(kinds) == 1 and not pa.types.is_nested(kinds[0]):
        kind = kinds[0]
        values = [
            part if field.type == kind else _from_text(part, kind)
            for part, field in zip(parts, members, strict=True)
        ]
        return Value(f"COALESCE({', '.join(values)})", kind)
    texts = [
        f"CAST(TO_JSON({part}) AS VARCHAR)" if pa.types.is_nested(field.type)
        else f"CAST({part} AS VARCHAR)"
        for part, field in zip(parts, members, strict=True)
    ]  # fmt: skip
    return Value(f"COALESCE({', '.join(texts)})", pa.string())


def _from_text(sql: str, kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):  # a cast to TIMESTAMP would drop an offset without applying it
        instant = f"TRY_CAST({sql} AS TIMESTAMPTZ)"
        return instant if kind.tz else f"{instant} AT TIME ZONE 'UTC'"
    return f"TRY_CAST({sql} AS {_duckdb_type(kind)})"


def _duckdb_type(kind: pa.DataType) -> str:
    name = landed_type(kind)
    return {
        types.BOOLEAN: "BOOLEAN", types.INTEGER: "BIGINT", types.NUMBER: "DOUBLE",
        types.DATE: "DATE", types.TIME: "TIME", types.TIMESTAMP: "TIMESTAMP",
        types.STRING: "VARCHAR", types.BINARY: "BLOB",
    }.get(name, name.upper())  # fmt: skip
