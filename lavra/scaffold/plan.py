"""The plan of a project: which tables, keys, marts and rollups its files call for.

Everything is decided here, from the files' profiles alone; rendering only writes it down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lavra.errors import ConfigurationError
from lavra.landing import types
from lavra.scaffold import naming, roles
from lavra.scaffold.profile import (
    ColumnProfile,
    ProfiledFile,
    TableProfile,
    find_key,
    profile_csv,
)
from lavra.scaffold.roles import Aggregate, Role

ENOUGH_FOUND = 0.8
"""Share of a column's values that must stand in another file's key to make it a reference."""

MOST_ROLLUPS = 2
MOST_MEASURES = 4
_SPLIT_VALUES = 60  # a mart over time is split by a category of up to this many values
_LONGEST_DAILY = 800  # days; a longer time is told by months
_LOOKED_UP_COLUMNS = 20
_ANYONES_KEYS = naming.words("id key code number name date nr no row_id index")
_UNITS = {"hour": "hourly", "day": "daily", "month": "monthly", "year": "yearly"}
_GRAIN_WORDS = ("hourly", "daily", "weekly", "monthly", "yearly", "annual")


@dataclass(frozen=True)
class Measure:
    """A quantity, and how it is brought together.

    Attributes:
        column: Its column in the table.
        aggregate: Sum or average.
        name: The column of the aggregate in a mart or rollup.
        weight: The column there that an average is weighted by: the row count, or, where some
            rows have no value, a count of its own.
    """

    column: str
    aggregate: Aggregate
    name: str
    weight: str


@dataclass(frozen=True)
class Lookup:
    """A column whose values are the key of another table of the project.

    Attributes:
        column: The referring column.
        table: The table referred to.
        key: Its key.
        columns: (column there, name here) of what is brought along.
        is_complete: Whether every value was found there.
    """

    column: str
    table: str
    key: str
    columns: tuple[tuple[str, str], ...]
    is_complete: bool


@dataclass(frozen=True)
class Mart:
    """A table over time: one row for each period, and category if there is one.

    Attributes:
        name: Its name in Gold.
        time: The time column it is made of.
        period: The column of the period: ``hour``, ``day``, ``month`` or ``year`` where that
            is free.
        unit: The unit of a period.
        category: The column that it is split by, if any.
    """

    name: str
    time: str
    period: str
    unit: str
    category: str | None


@dataclass(frozen=True)
class Rollup:
    """A table with one row for each value of a category.

    Attributes:
        name: Its name in Gold.
        category: The column.
    """

    name: str
    category: str


@dataclass(frozen=True)
class TablePlan:
    """What is made of one file.

    Attributes:
        profile: What the file holds.
        roles: What each column is for, by name.
        key: The columns that identify a row; empty if none do.
        measures: Its quantities, sums before averages; no more than four.
        lookups: Its references to other tables.
        mart: Its table over time, if it has a time column.
        rollups: Its tables by category.
        row_count: The column of the row count in a mart or rollup.
    """

    profile: TableProfile
    roles: dict[str, Role]
    key: tuple[str, ...]
    measures: tuple[Measure, ...]
    lookups: tuple[Lookup, ...]
    mart: Mart | None
    rollups: tuple[Rollup, ...]
    row_count: str

    @property
    def name(self) -> str:
        """The table's name in every layer."""
        return self.profile.name

    @property
    def label(self) -> str:
        """The table's name as people read it, without a word for its step in time."""
        return naming.title(_base(self.name))

    def label_of(self, column: str) -> str:
        """A column's name as people read it: ``seller_state`` of ``sellers`` is ``state``."""
        return (column.removeprefix(f"{self.singular}_") or column).replace("_", " ")

    @property
    def singular(self) -> str:
        """What one of its rows is."""
        return naming.singular(_base(self.name))


def plan_tables(paths: Sequence[Path]) -> list[TablePlan]:
    """Read the files and return what is to be made of each, in their order.

    Raises:
        SourceError: a file is missing, empty or malformed.
        ConfigurationError: two files would make tables of the same name.
    """
    names = _table_names(paths)
    with ExitStack() as stack:
        files = [
            stack.enter_context(profile_csv(path, name))
            for path, name in zip(paths, names, strict=True)
        ]
        found = {file.profile.name: _roles_and_key(file) for file in files}
        keys = {name: key for name, (_, key) in found.items()}
        taken = list(names)
        return [
            _plan_table(file, found[file.profile.name][0], files, keys, taken) for file in files
        ]


def _table_names(paths: Sequence[Path]) -> list[str]:
    names: dict[str, Path] = {}
    for position, path in enumerate(paths, start=1):
        name = naming.table_name(path.name.split(".")[0] or path.stem, position)
        if name in names:
            raise ConfigurationError(
                f"{names[name]} and {path} would both become the table {name}.",
                remedy="Rename one of the files: the table is called as its file is.",
            )
        names[name] = path
    return list(names)


def _roles_and_key(file: ProfiledFile) -> tuple[dict[str, Role], tuple[str, ...]]:
    profile = file.profile
    purpose = {column.name: roles.role_of(column) for column in profile.columns}
    quantities = frozenset(
        name for name, role in purpose.items() if role in {Role.MEASURE, Role.PLACE}
    )
    likely = roles.likely_keys(profile.columns, profile.name, naming.singular(profile.name))
    key = tuple(find_key(file, quantities, likely))
    if len(key) == 1 and purpose[key[0]] is not Role.TIME:
        purpose[key[0]] = Role.IDENTIFIER
    return purpose, key


def _plan_table(
    file: ProfiledFile,
    purpose: dict[str, Role],
    files: Sequence[ProfiledFile],
    keys: dict[str, tuple[str, ...]],
    taken: list[str],
) -> TablePlan:
    profile = file.profile
    categories = _categories(profile, purpose)
    mart = _mart(profile, purpose, categories, taken)
    grouped = [column.name for column in categories]
    row_count = naming.unique("row_count", grouped)
    rollups = []
    for column in categories[:MOST_ROLLUPS]:
        short = column.name.removeprefix(naming.singular(profile.name) + "_")
        name = naming.unique(f"{profile.name}_by_{short}", taken)
        taken.append(name)
        rollups.append(Rollup(name, column.name))
    return TablePlan(
        profile=profile, roles=purpose, key=keys[profile.name],
        measures=tuple(_measures(profile, purpose, row_count, grouped)),
        lookups=_lookups(file, files, keys, purpose), mart=mart, rollups=tuple(rollups),
        row_count=row_count,
    )  # fmt: skip


def _measures(
    profile: TableProfile, purpose: dict[str, Role], row_count: str, grouped: Sequence[str]
) -> Iterator[Measure]:
    quantities = [
        (roles.aggregate_of(column.name), column)
        for column in profile.columns
        if purpose[column.name] is Role.MEASURE and column.distinct > 1
    ]
    quantities.sort(key=lambda pair: pair[0] is Aggregate.AVERAGE)
    taken = [*grouped, row_count, *_UNITS]
    for aggregate, column in quantities[:MOST_MEASURES]:
        if aggregate is Aggregate.SUM:
            name = column.name if column.name.startswith("total_") else f"total_{column.name}"
        else:
            name = f"average_{column.name}"
        name = naming.unique(name, taken)
        weight = row_count if column.nulls == 0 else f"{column.name}_count"
        if weight != row_count:
            weight = naming.unique(weight, taken)
        taken += [name, weight]
        yield Measure(column.name, aggregate, name, weight)


def _categories(profile: TableProfile, purpose: dict[str, Role]) -> list[ColumnProfile]:
    """Return the categories, the most telling first: few values, none empty, text."""
    found = [c for c in profile.columns if purpose[c.name] is Role.CATEGORY and c.distinct > 1]
    return sorted(
        found,
        key=lambda c: (not c.is_text, c.nulls > 0, c.distinct > _SPLIT_VALUES, -c.distinct),
    )


def _mart(
    profile: TableProfile,
    purpose: dict[str, Role],
    categories: Sequence[ColumnProfile],
    taken: list[str],
) -> Mart | None:
    times = [c for c in profile.columns if purpose[c.name] is Role.TIME and c.distinct > 1]
    if not times:
        return None
    time = min(times, key=lambda column: column.nulls > 0)
    unit = _unit(time)
    split = next((c for c in categories if c.distinct <= _SPLIT_VALUES and c.is_text), None)
    name = naming.unique(f"{_UNITS[unit]}_{_base(profile.name)}", taken)
    taken.append(name)
    period = naming.unique(unit, [split.name] if split else [])
    return Mart(name, time.name, period, unit, split.name if split else None)


def _base(table: str) -> str:
    return "_".join(word for word in table.split("_") if word not in _GRAIN_WORDS) or table


def _unit(time: ColumnProfile) -> str:
    """Return the unit of time that tells the column's range in a readable number of points."""
    span = time.maximum - time.minimum
    if time.first_of_month:
        yearly = time.distinct > 2 and all(value.month == 1 for value, _ in time.values)
        return "year" if yearly and time.values else "month"
    if time.type.name != types.DATE and span.days < 4:
        return "hour"
    return "day" if span.days <= _LONGEST_DAILY else "month"


def _lookups(
    file: ProfiledFile,
    files: Sequence[ProfiledFile],
    keys: dict[str, tuple[str, ...]],
    purpose: dict[str, Role],
) -> tuple[Lookup, ...]:
    profile = file.profile
    lookups: list[Lookup] = []
    names = [column.name for column in profile.columns]
    for column in profile.columns:
        if purpose[column.name] in {Role.MEASURE, Role.TIME} or not column.distinct:
            continue
        for other in files:
            key = keys[other.profile.name]
            if other is file or len(key) != 1 or any(x.column == column.name for x in lookups):
                continue
            there = other.profile.column(key[0])
            if not _names_agree(column.name, there.name, other.profile.name):
                continue
            if column.type.name != there.type.name:
                continue
            if column.name == _only(keys[profile.name]) and (
                there.distinct < column.distinct
                or (there.distinct == column.distinct and files.index(other) < files.index(file))
            ):
                continue  # two tables of one key: one looks up the other, not both
            share = file.share_found_in(column.name, other, there.name)
            if share < ENOUGH_FOUND:
                continue
            brought = _brought(other.profile, there.name, names)
            names += [here for _, here in brought]
            lookups.append(
                Lookup(column.name, other.profile.name, there.name, brought, share == 1.0)
            )
    return tuple(lookups)


def _only(key: tuple[str, ...]) -> str | None:
    return key[0] if len(key) == 1 else None


def _names_agree(column: str, key: str, table: str) -> bool:
    """Whether ``column`` is called as one would call a reference to ``table``'s ``key``."""
    thing = naming.singular(table)
    if column in {f"{thing}_{key}", f"{table}_{key}", thing}:
        return True
    return column == key and key not in _ANYONES_KEYS


def _brought(other: TableProfile, key: str, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    brought: list[tuple[str, str]] = []
    for column in other.columns:
        if column.name == key or len(brought) == _LOOKED_UP_COLUMNS:
            continue
        here = column.name
        if here in names:
            here = f"{naming.singular(other.name)}_{here}"
        here = naming.unique(here, [*names, *(name for _, name in brought)])
        brought.append((column.name, here))
    return tuple(brought)
