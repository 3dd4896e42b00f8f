"""Parquet files: their own types, columns matched by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from lavra.errors import SourceError
from lavra.landing import types
from lavra.landing.bronze_writer import Change
from lavra.landing.coerce import Coercer
from lavra.landing.connections import Stream
from lavra.landing.file_reader import FileReader, selected
from lavra.landing.inference import quoted
from lavra.landing.reading import Batch, StreamRead
from lavra.landing.types import LandedType, parse_type

BATCH_ROWS = 100_000
_TYPES = {
    "BOOLEAN": types.BOOLEAN, "FLOAT": types.NUMBER, "DOUBLE": types.NUMBER, "DATE": types.DATE,
    "TIME": types.TIME, "BLOB": types.BINARY, "TIMESTAMP WITH TIME ZONE": types.TIMESTAMP_TZ,
    "JSON": types.JSON,
} | dict.fromkeys(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    types.INTEGER,
) | dict.fromkeys(
    ("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_MS", "TIMESTAMP_S"), types.TIMESTAMP
)  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


class ParquetReader(FileReader):
    """The Parquet files of a folder."""

    @contextmanager
    def parsed(self, stream: Stream, files: list[Path]) -> Iterator[StreamRead]:
        """Read Parquet files."""
        source = f"read_parquet({[str(file) for file in files]}, union_by_name => true)"
        with duckdb.connect(config={"threads": "2"}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            try:
                found = connection.execute(f"describe select * from {source}").fetchall()
            except duckdb.Error as error:
                raise _unreadable(error) from error
            kinds = {row[0]: _landed_type(row[1]) for row in found}
            declared = {name: parse_type(text) for name, text in stream.types.items()}
            kinds = selected(stream, {name: declared.get(name, kinds[name]) for name in kinds})
            declared = {name: kind for name, kind in declared.items() if name in kinds}
            columns = ", ".join(
                f"{_expression(name, kind, is_declared=name in declared)} as {quoted(name)}"
                for name, kind in kinds.items()
            )
            yield StreamRead(
                kinds, _batches(connection, f"select {columns} from {source}", kinds, declared)
            )


def _landed_type(name: str) -> LandedType:
    if found := _DECIMAL.fullmatch(name):
        return LandedType(types.DECIMAL, int(found[1]), int(found[2]))
    if name in {"UBIGINT", "HUGEINT", "UHUGEINT"}:
        return LandedType(types.DECIMAL, 20 if name == "UBIGINT" else 38, 0)
    if name.startswith(("STRUCT", "MAP", "UNION")) or name.endswith("]"):
        return LandedType(types.JSON)
    return LandedType(_TYPES.get(name, types.STRING))


def _expression(name: str, kind: LandedType, *, is_declared: bool) -> str:
    column = quoted(name)
    if is_declared:
        return f"cast({column} as varchar)"
    if kind.name == types.JSON:
        return f"cast(to_json({column}) as varchar)"
    targets = {types.STRING: "varchar", types.INTEGER: "bigint", types.NUMBER: "double",
               types.TIMESTAMP: "timestamp"}  # fmt: skip
    target = str(kind) if kind.name == types.DECIMAL else targets.get(kind.name)
    return f"cast({column} as {target})" if target else column


def _batches(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    kinds: dict[str, LandedType],
    declared: dict[str, LandedType],
) -> Iterator[Batch]:
    schema = pa.schema([(name, kind.arrow) for name, kind in kinds.items()])
    try:
        reader = connection.execute(query).to_arrow_reader(BATCH_ROWS)
        with Coercer(declared or {"": LandedType(types.STRING)}) as coerce:
            for batch in reader:
                table = pa.Table.from_batches([batch])
                changes: dict[int, list[Change]] = {}
                if declared:
                    typed, changes = coerce(table.select(list(declared)))
                    for name in declared:
                        place = table.column_names.index(name)
                        table = table.set_column(place, name, typed.column(name))
                yield table.cast(schema), changes
    except duckdb.Error as error:
        raise _unreadable(error) from error


def _unreadable(error: duckdb.Error) -> SourceError:
    said = str(error).strip().split("\n", 1)[0]
    return SourceError(
        f"A Parquet file cannot be read: {said}",
        remedy="Where files disagree on a column's type, read them as streams of their own.",
    )
