"""What a CSV file holds: the narrowest type that every value of a column fits, and statistics.

Every value is looked at, not a sample: a type that a later row breaks would turn that row's
value into null. The text is kept in a DuckDB table of its own that spills to disk, so memory
stays bounded.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lavra.errors import ConfigurationError, SourceError
from lavra.landing import types
from lavra.landing.csv_source import CsvOptions, open_csv
from lavra.landing.types import LandedType

MEMORY_LIMIT = "1GB"
EXACT_DISTINCT_ROWS = 5_000_000
"""Up to this many rows distinct values are counted exactly, above it they are estimated."""

MOST_COMMON = 50
_SAMPLES = 5
_PAIRED_COLUMNS = 8
_MAX_EXACT_SCALE = 6  # more digits than this are a measurement: a double

_DATE_FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d")
_TIMESTAMP_FORMATS = tuple(
    f"{date} {time}" for date in _DATE_FORMATS[:5] for time in ("%H:%M:%S", "%H:%M")
)
_ISO_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO_TIMESTAMP = _ISO_DATE + r"[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_ZONE = r" ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
_NUMBER = r"-?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?"
_COMMA_NUMBER = r"-?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)(,[0-9]+)?"


@dataclass(frozen=True)
class InferredColumn:
    """One column of a CSV file.

    Attributes:
        name: Its name in the lake.
        header: Its name in the file.
        type: The narrowest type that fits every value, or the declared one.
        null_count: Rows without a value.
        misfit_count: Values that do not fit a declared type (0 for an inferred one).
        distinct_count: Distinct values, nulls left out.
        distinct_is_exact: Whether that was counted, or estimated within about 2 %.
        minimum: Smallest value, as Python holds it; None if there is none.
        maximum: Largest value.
        samples: A few distinct values, in order of their first appearance.
        most_common: Up to 50 (value, count), the most frequent first.
    """

    name: str
    header: str
    type: LandedType
    null_count: int
    misfit_count: int
    distinct_count: int
    distinct_is_exact: bool
    minimum: Any
    maximum: Any
    samples: tuple[Any, ...]
    most_common: tuple[tuple[Any, int], ...]

    @property
    def arrow_type(self) -> pa.DataType:
        """The column's Arrow type in Bronze."""
        return self.type.arrow

    @property
    def is_key(self) -> bool:
        """Whether every row has a value of its own here."""
        return self.null_count == 0 and self.distinct_is_exact and self.distinct_count > 0


@dataclass(frozen=True)
class InferredTable:
    """What a CSV file, or several of one shape, holds.

    Attributes:
        keys: The keys it found, the likeliest first: single columns whose values are all
            present and all different or, where there is none, pairs of columns.
    """

    paths: tuple[Path, ...]
    encoding: str
    delimiter: str
    row_count: int
    skipped_rows: int
    columns: tuple[InferredColumn, ...]
    keys: tuple[tuple[str, ...], ...]

    def schema(self) -> pa.Schema:
        """Return the columns' Arrow schema, without the ``_airbyte_*`` columns."""
        return pa.schema([(column.name, column.arrow_type) for column in self.columns])


@dataclass(frozen=True)
class TextTable:
    """CSV files loaded as text into a DuckDB table."""

    connection: duckdb.DuckDBPyConnection
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    headers: tuple[str, ...]
    encoding: str
    delimiter: str
    row_count: int
    skipped_rows: int
    options: CsvOptions

    TABLE = "csv_text"


def infer_csv(
    path: Path | Sequence[Path],
    options: CsvOptions | None = None,
    overrides: Mapping[str, LandedType] | None = None,
) -> InferredTable:
    """Return what a CSV file holds; several files are read as one, by column name.

    Args:
        path: One file or several.
        options: How it is written; what is None is detected.
        overrides: Declared types by column name in the lake, kept as they are.

    Raises:
        SourceError: a file is missing, empty or malformed; the message says where.
        ConfigurationError: an override names no column.
    """
    with load_text(path, options) as text:
        kinds = infer_types(text, overrides)
        return _described(text, kinds)


@contextmanager
def load_text(
    path: Path | Sequence[Path], options: CsvOptions | None = None
) -> Iterator[TextTable]:
    """Load CSV files into a DuckDB table of text columns that lives as long as the block.

    A column that only some of the files have is null in the others.

    Raises:
        SourceError: a file is missing, empty or malformed; the message says where.
    """
    options = options or CsvOptions()
    paths = (path,) if isinstance(path, Path) else tuple(path)
    if not paths:
        raise SourceError("There is no CSV file to read.")
    headers: dict[str, str] = {}
    skipped = 0
    encoding = delimiter = ""
    with tempfile.TemporaryDirectory(prefix="lavra-csv-") as spill:
        connection = duckdb.connect(config={"temp_directory": spill, "memory_limit": MEMORY_LIMIT})
        with connection:
            connection.execute("set TimeZone = 'UTC'")
            for one in paths:
                with open_csv(one, options) as opened:
                    dialect = opened.dialect
                    encoding, delimiter = encoding or dialect.encoding, dialect.delimiter
                    new = [name for name in dialect.names if name not in headers]
                    headers |= dict(zip(dialect.names, dialect.headers, strict=True))
                    _append(connection, opened.batches, new, first=one is paths[0])
                skipped += len(opened.skipped)
            count = connection.execute(f"select count(*) from {TextTable.TABLE}").fetchone()
            yield TextTable(
                connection, paths, tuple(headers), tuple(headers.values()), encoding, delimiter,
                count[0] if count else 0, skipped, options,
            )  # fmt: skip


def infer_types(
    text: TextTable, overrides: Mapping[str, LandedType] | None = None
) -> dict[str, LandedType]:
    """Return the type of each column: the declared one, else the narrowest that always fits.

    Raises:
        ConfigurationError: an override names no column.
    """
    overrides = overrides or {}
    if unknown := sorted(set(overrides) - set(text.names)):
        raise ConfigurationError(
            f"{text.paths[0]} has no column {', '.join(unknown)}.",
            remedy=f"Its columns are {', '.join(text.names)}.",
        )
    comma = text.options.decimal_comma
    may_comma = text.delimiter != "," if comma is None else comma
    return {
        name: overrides[name] if name in overrides else _narrowest(text, name, may_comma)
        for name in text.names
    }


def quoted(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _append(
    connection: duckdb.DuckDBPyConnection,
    batches: pa.RecordBatchReader,
    new: list[str],
    *,
    first: bool,
) -> None:
    table = TextTable.TABLE
    if first:
        columns = ", ".join(f"{quoted(name)} varchar" for name in new)
        connection.execute(f"create table {table} ({columns})")
    else:
        for name in new:
            connection.execute(f"alter table {table} add column {quoted(name)} varchar")
    for batch in batches:
        connection.register("batch", pa.Table.from_batches([batch]))
        connection.execute(f"insert into {table} by name select * from batch")
        connection.unregister("batch")


def _narrowest(text: TextTable, name: str, may_comma: bool) -> LandedType:
    for candidate in _candidates(text, name, may_comma):
        if _misfits(text, name, candidate) == 0:
            return candidate
    return LandedType(types.STRING)


def _candidates(text: TextTable, name: str, may_comma: bool) -> Iterator[LandedType]:
    """Yield the types whose written form every value of the column has, the narrowest first."""
    value = f"trim({quoted(name)})"
    every = _every(text, name, {
        "boolean": f"lower({value}) in ('true', 'false', 't', 'f', 'yes', 'no')",
        "integer": f"regexp_full_match({value}, '-?(0|[1-9][0-9]{{0,18}})')",
        "number": f"regexp_full_match({value}, '{_NUMBER}') "
        f"and not regexp_full_match({value}, '-?0[0-9]+|[0-9]+[eE][0-9]+')",
        "comma": f"regexp_full_match({value}, '{_COMMA_NUMBER}') "
        f"and not regexp_full_match({value}, '-?0[0-9]+(,.*)?')",
        "date": f"regexp_full_match({value}, '{_ISO_DATE}')",
        "timestamp": f"regexp_full_match({value}, '{_ISO_TIMESTAMP}')",
        "timestamp_tz": f"regexp_full_match({value}, '{_ISO_TIMESTAMP}{_ZONE}')",
        "written_date": f"regexp_matches({value}, '^[0-9]{{1,4}}[-/.][0-9]{{1,2}}[-/.][0-9]')",
    })  # fmt: skip
    if every is None:
        return  # no value at all
    if every["boolean"]:
        yield LandedType(types.BOOLEAN)
    if every["integer"]:
        yield LandedType(types.INTEGER)
    elif every["number"]:
        yield _number(text, value, name, decimal_comma=False)
    elif may_comma and every["comma"]:
        yield _number(text, value, name, decimal_comma=True)
    if every["date"]:
        yield LandedType(types.DATE)
    if every["timestamp"]:
        yield LandedType(types.TIMESTAMP)
    if every["timestamp_tz"]:
        yield LandedType(types.TIMESTAMP_TZ)
    if every["written_date"]:
        yield from _written_dates(text, name)


def _written_dates(text: TextTable, name: str) -> Iterator[LandedType]:
    """Yield the one format that fits; where day and month cannot be told apart, none."""
    for kind, formats in ((types.DATE, _DATE_FORMATS), (types.TIMESTAMP, _TIMESTAMP_FORMATS)):
        fitting = [f for f in formats if _misfits(text, name, LandedType(kind, format=f)) == 0]
        if len(fitting) == 1:
            yield LandedType(kind, format=fitting[0])


def _number(text: TextTable, value: str, name: str, *, decimal_comma: bool) -> LandedType:
    point = "," if decimal_comma else "."
    plain = f"replace({value}, '.', '')" if decimal_comma else value
    row = text.connection.execute(
        f"""
        select max(length(regexp_extract(ltrim({plain}, '-'), '^[0-9]*'))),
               max(length(regexp_extract({plain}, '\\{point}([0-9]+)', 1))),
               bool_or(contains(lower({value}), 'e'))
        from {TextTable.TABLE} where {_holds_value(text, name)}
        """
    ).fetchone()
    whole, scale, exponent = row or (0, 0, True)
    if exponent or scale > _MAX_EXACT_SCALE or whole + scale > types.MAX_PRECISION:
        return LandedType(types.NUMBER, decimal_comma=decimal_comma)
    # Wider than today's values, so that tomorrow's fit without a change of type.
    precision = 18 if whole + scale <= 16 else types.MAX_PRECISION
    return LandedType(types.DECIMAL, precision, scale, decimal_comma=decimal_comma)


def _holds_value(text: TextTable, name: str) -> str:
    nulls = ", ".join("'" + null.replace("'", "''") + "'" for null in text.options.null_values)
    column = quoted(name)
    return f"{column} is not null and trim({column}) not in ('', {nulls})"


def _every(text: TextTable, name: str, tests: Mapping[str, str]) -> dict[str, bool] | None:
    columns = ", ".join(f"bool_and({test})" for test in tests.values())
    row = text.connection.execute(
        f"select {columns} from {TextTable.TABLE} where {_holds_value(text, name)}"
    ).fetchone()
    return None if row is None or row[0] is None else dict(zip(tests, row, strict=True))


def _misfits(text: TextTable, name: str, kind: LandedType) -> int:
    if kind.name == types.STRING:
        return 0
    row = text.connection.execute(
        f"select count(*) from {TextTable.TABLE} where {_holds_value(text, name)} "
        f"and {kind.sql_from_text(quoted(name))} is null"
    ).fetchone()
    return int(row[0]) if row else 0


def _described(text: TextTable, kinds: Mapping[str, LandedType]) -> InferredTable:
    headers = dict(zip(text.names, text.headers, strict=True))
    columns = tuple(_column(text, name, headers[name], kind) for name, kind in kinds.items())
    keys = _keys(text, columns)
    return InferredTable(
        text.paths, text.encoding, text.delimiter, text.row_count, text.skipped_rows, columns, keys
    )


def _keys(text: TextTable, columns: tuple[InferredColumn, ...]) -> tuple[tuple[str, ...], ...]:
    likely = {types.STRING, types.INTEGER, types.DATE, types.TIMESTAMP, types.TIMESTAMP_TZ}
    usable = [c for c in columns if c.null_count == 0 and c.type.name in likely]
    count = text.row_count
    single = [
        (c.name,) for c in usable
        if c.is_key and c.distinct_count == count and c.type.name in {types.STRING, types.INTEGER}
    ]  # fmt: skip
    if single or count == 0:
        return tuple(sorted(single, key=lambda key: not key[0].endswith("id")))
    pairs = []
    for one, other in itertools.combinations(usable[:_PAIRED_COLUMNS], 2):
        if one.distinct_count * other.distinct_count < count:
            continue
        row = text.connection.execute(
            f"select count(distinct ({quoted(one.name)}, {quoted(other.name)})) from {text.TABLE}"
        ).fetchone()
        if row and row[0] == count:
            pairs.append((one.name, other.name))
    return tuple(pairs)


def _column(text: TextTable, name: str, header: str, kind: LandedType) -> InferredColumn:
    exact = text.row_count <= EXACT_DISTINCT_ROWS
    distinct = "count(distinct value)" if exact else "approx_count_distinct(value)"
    typed = f"(select {kind.sql_from_text(quoted(name))} as value from {TextTable.TABLE})"
    totals = _fetch(
        text,
        f"select count(*) - count(value) as nulls, {distinct} as distinct_count, "
        f"min(value) as minimum, max(value) as maximum from {typed}",
    )[0]
    samples = _fetch(
        text,
        f"select value from (select value, row_number() over () as place from {typed} "
        f"limit 1000) where value is not null group by value order by min(place) limit {_SAMPLES}",
    )
    common = _fetch(
        text,
        f"select value, count(*) as n from {typed} where value is not null "
        f"group by value order by n desc, value limit {MOST_COMMON}",
    )
    return InferredColumn(
        name=name, header=header, type=kind, null_count=totals["nulls"],
        misfit_count=_misfits(text, name, kind), distinct_count=totals["distinct_count"],
        distinct_is_exact=exact, minimum=totals["minimum"], maximum=totals["maximum"],
        samples=tuple(row["value"] for row in samples),
        most_common=tuple((row["value"], row["n"]) for row in common),
    )  # fmt: skip


def _fetch(text: TextTable, sql: str) -> list[dict[str, Any]]:
    # By way of Arrow: DuckDB's own fetch of a zoned timestamp wants a package we do not need.
    rows: list[dict[str, Any]] = text.connection.execute(sql).to_arrow_table().to_pylist()
    return rows
