"""What a CSV file holds, column by column, as the planning of a project needs it.

Values are looked at as the Silver model will leave them: text trimmed, empty text as null. All
rows are read, so that what is written about them (a key, no empty value, a closed list) is true
of the whole file and not of a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb

from lavra.errors import SourceError
from lavra.landing import types
from lavra.landing.csv_source import CsvOptions
from lavra.landing.inference import TextTable, infer_types, load_text, quoted
from lavra.landing.types import LandedType
from lavra.scaffold import naming

LISTED_VALUES = 60
"""Up to this many distinct values are listed with their counts."""

_KEY_COLUMNS = 3  # columns in the widest composite key that is looked for
_KEY_CANDIDATES = 8
_CLEANED = "cleaned"
_DISCRETE = frozenset({types.STRING, types.INTEGER, types.DATE, types.TIMESTAMP})
_TEMPORAL = frozenset({types.DATE, types.TIMESTAMP, types.TIMESTAMP_TZ})
_NUMERIC = frozenset({types.INTEGER, types.NUMBER, types.DECIMAL})


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a file.

    Attributes:
        name: Its name in the models.
        landed: Its name in Bronze, as landing gives it.
        header: Its name in the file.
        type: The narrowest type that every value fits.
        rows: Rows of the file.
        nulls: Rows without a value.
        distinct: Distinct values, nulls left out.
        minimum: Smallest value, None if there is none.
        maximum: Largest value.
        values: All (value, count), the most frequent first, if they are few; else nothing.
        longest: Characters of the longest text; 0 for other types.
        first_of_month: Whether every date is the first day of a month.
    """

    name: str
    landed: str
    header: str
    type: LandedType
    rows: int
    nulls: int
    distinct: int
    minimum: Any
    maximum: Any
    values: tuple[tuple[Any, int], ...]
    longest: int
    first_of_month: bool

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value, and no two the same."""
        return self.nulls == 0 and self.distinct == self.rows

    @property
    def is_temporal(self) -> bool:
        """Whether its values are dates or timestamps."""
        return self.type.name in _TEMPORAL

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type.name in _NUMERIC

    @property
    def is_text(self) -> bool:
        """Whether its values are text."""
        return self.type.name == types.STRING

    @property
    def is_discrete(self) -> bool:
        """Whether its values can name a thing: text, whole numbers, dates."""
        return self.type.name in _DISCRETE


@dataclass(frozen=True)
class TableProfile:
    """One file: its name as a table, and its columns.

    Attributes:
        name: The table's name in the models.
        path: The file, as it was given.
        encoding: How its text is written.
        delimiter: What stands between its fields.
        rows: Rows, the header left out.
        columns: One for each field of the header.
    """

    name: str
    path: Path
    encoding: str
    delimiter: str
    rows: int
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile:
        """Return the column called ``name``."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class ProfiledFile:
    """A file's profile, with its rows at hand for questions across columns and files."""

    profile: TableProfile
    connection: duckdb.DuckDBPyConnection

    def is_unique(self, names: Sequence[str]) -> bool:
        """Whether no two rows have the same values in all of these columns."""
        columns = ", ".join(quoted(name) for name in names)
        return bool(
            self._number(
                f"select count(*) from (select distinct {columns} from {_CLEANED})"  # noqa: S608
            )
            == self.profile.rows
        )

    def share_found_in(self, name: str, other: ProfiledFile, other_name: str) -> float:
        """Return the share of a column's distinct values that another file's column holds."""
        there = other.connection.execute(
            f"select distinct {quoted(other_name)} as value from {_CLEANED}"  # noqa: S608
        ).to_arrow_table()
        self.connection.register("other_values", there)
        try:
            return float(
                self._number(
                    f"""
                select coalesce(avg(case when value in (select value from other_values)
                                    then 1.0 else 0.0 end), 0.0)
                from (select distinct {quoted(name)} as value from {_CLEANED})
                where value is not null
                """  # noqa: S608
                )
            )
        finally:
            self.connection.unregister("other_values")

    def _number(self, query: str) -> Any:
        row = self.connection.execute(query).fetchone()
        return row[0] if row else 0


@contextmanager
def profile_csv(path: Path, name: str, options: CsvOptions | None = None) -> Iterator[ProfiledFile]:
    """Read a file whole and profile it; its rows stay at hand inside the block.

    Raises:
        SourceError: it is missing, empty, malformed, or has no rows; the message says where.
    """
    with load_text(path, options) as text:
        if text.row_count == 0:
            raise SourceError(
                f"{path} has a header and no rows: there is nothing to infer types from.",
                remedy="Give a file with at least one row.",
            )
        kinds = infer_types(text)
        names = dict(zip(text.names, naming.column_names(text.names, name), strict=True))
        _clean(text, kinds, names)
        columns = tuple(
            _profile_column(text, landed, names[landed], header, kinds[landed])
            for landed, header in zip(text.names, text.headers, strict=True)
        )
        yield ProfiledFile(
            TableProfile(name, path, text.encoding, text.delimiter, text.row_count, columns),
            text.connection,
        )


def find_key(file: ProfiledFile, measures: frozenset[str], preferred: Sequence[str]) -> list[str]:
    """Return the columns that identify a row, or nothing.

    One column is preferred to two, and two to three. Few rows are weak evidence: below 20 of
    them, only a column that is called like a key, or the first column, is taken for one.

    Args:
        file: The file.
        measures: Columns that are quantities: unique or not, they name nothing.
        preferred: Columns called like keys, the likeliest first.
    """
    profile = file.profile
    many = profile.rows >= 20
    able = [
        column
        for column in profile.columns
        if column.is_discrete and column.nulls == 0 and column.name not in measures
    ]
    place = {name: number for number, name in enumerate(preferred)}
    alone = [
        column
        for column in able
        if column.is_unique and (many or column.name in place or column is profile.columns[0])
    ]
    if alone:
        return [min(alone, key=lambda column: place.get(column.name, len(place))).name]
    if not many:
        return []
    candidates = sorted(
        (column for column in able if column.distinct > 1),
        key=lambda column: (place.get(column.name, len(place)), not column.is_temporal),
    )[:_KEY_CANDIDATES]
    for width in range(2, _KEY_COLUMNS + 1):
        for together in combinations(candidates, width):
            possible = 1
            for column in together:
                possible *= column.distinct
            if possible >= profile.rows and file.is_unique([c.name for c in together]):
                return [column.name for column in together]
    return []


def _clean(text: TextTable, kinds: dict[str, LandedType], names: dict[str, str]) -> None:
    columns = ", ".join(
        f"{_cleaned(quoted(landed), kinds[landed])} as {quoted(name)}"
        for landed, name in names.items()
    )
    text.connection.execute(
        f"create table {_CLEANED} as select {columns} from {TextTable.TABLE}"  # noqa: S608
    )


def _cleaned(column: str, kind: LandedType) -> str:
    typed = kind.sql_from_text(column)
    return f"nullif(trim({typed}), '')" if kind.name == types.STRING else typed


def _profile_column(
    text: TextTable, landed: str, name: str, header: str, kind: LandedType
) -> ColumnProfile:
    value = quoted(name)
    longest = f"max(length({value}))" if kind.name == types.STRING else "0"
    months = f"bool_and(day({value}) = 1)" if kind.name in _TEMPORAL else "false"
    row = text.connection.execute(
        f"""
        select count(*), count(*) - count({value}), count(distinct {value}),
               min({value}), max({value}), coalesce({longest}, 0), coalesce({months}, false)
        from {_CLEANED}
        """  # noqa: S608
    ).fetchone()
    rows, nulls, distinct, minimum, maximum, length, first_of_month = row or (0,) * 7
    values: list[tuple[Any, int]] = []
    if 0 < distinct <= LISTED_VALUES:
        values = text.connection.execute(
            f"select {value}, count(*) from {_CLEANED} where {value} is not null "  # noqa: S608
            "group by 1 order by 2 desc, 1"
        ).fetchall()
    return ColumnProfile(
        name=name, landed=landed, header=header, type=kind, rows=rows, nulls=nulls,
        distinct=distinct, minimum=minimum, maximum=maximum, values=tuple(values),
        longest=length, first_of_month=first_of_month,
    )  # fmt: skip
