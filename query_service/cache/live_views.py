"""Which tables of a release are live, what they read, and what changed there.

A release's views are kept as DuckLake keeps them: SQL that names tables and other views. Those that
reach a landing table are live. Here their SQL is made to read copies instead: the landing tables as
of the newest commit, everything else as of the release (:mod:`query_service.cache.live_rows`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from psycopg import sql

from lavra.catalog.catalog import DUCKLAKE_SCHEMA
from lavra.landing.inference import quoted
from query_service.releases import table_name

if TYPE_CHECKING:
    import psycopg

    from query_service.releases import Release

LANDING = "landing_"
TAILS = "tails"
"""Database of the copies of landing tables."""

Place = tuple[str, str]
"""Schema and table of the lake."""

_NAME = r'("(?:[^"]|"")+"|\w+)'
_REFERENCE = re.compile(rf"\{{DUCKLAKE_CATALOG\}}\.{_NAME}\.{_NAME}")
# As DuckDB writes a subquery that is nothing but a filter on the sequence.
_TAIL = re.compile(r'(?: AS "?\w+"?)? WHERE \("?_lavra_sequence"? > (\d+)\)\)')
_LAKE = sql.Identifier(DUCKLAKE_SCHEMA)
_CHANGE = re.compile(r"([a-z_]+):(\d+)(?=,|$)")

_APPENDS = {"inserted_into_table", "inlined_insert"}
_KEEPS_ROWS = {"inline_flush", "merge_adjacent", "rewrite_delete", "compacted_table"}


@dataclass(frozen=True)
class LiveViews:
    """The live tables of a release.

    Attributes:
        queries: DuckDB SQL over the copies, by "schema.table".
        reads: The landing tables that each of them reads.
        landing: Of each landing table the sequence above which rows are read; None: all rows.
        settled: What they read besides.
        positions: Ids of their streams' tables of positions, which each commit writes.
    """

    queries: dict[str, str] = field(default_factory=dict)
    reads: dict[str, frozenset[Place]] = field(default_factory=dict)
    landing: dict[Place, int | None] = field(default_factory=dict)
    settled: frozenset[Place] = frozenset()
    positions: tuple[int, ...] = ()

    @property
    def streams(self) -> tuple[str, ...]:
        """Schemas of the streams that they read."""
        return tuple(sorted({schema for schema, _ in self.landing}))


def settled_database(release_id: int) -> str:
    """Return the database of the copies of what a release's live tables read besides."""
    return f"settled_{release_id}"


def find_live_views(connection: psycopg.Connection, release: Release) -> LiveViews:
    """Return which tables of a release are live; none, as a rule."""
    rows = connection.execute(
        sql.SQL(
            "select s.schema_name, v.view_name, v.sql from {0}.ducklake_view v "
            "join {0}.ducklake_schema s using (schema_id) "
            "where v.begin_snapshot <= %(at)s and coalesce(v.end_snapshot > %(at)s, true) "
            "and s.begin_snapshot <= %(at)s and coalesce(s.end_snapshot > %(at)s, true)"
        ).format(_LAKE),
        {"at": release.snapshot_id},
    ).fetchall()
    views = {(schema, name): text for schema, name, text in rows}
    found = LiveViews()
    settled: set[Place] = set()
    for table in release.tables:
        text = views.get((table.physical_schema, table.physical_table))
        if text is None:
            continue
        expansion = _Expansion(views, settled_database(release.id))
        query = expansion.of(text)
        if not expansion.landing:
            continue
        name = table_name(table)
        found.queries[name] = query
        found.reads[name] = frozenset(expansion.landing)
        for place, above in expansion.landing.items():
            found.landing[place] = _least(found.landing.get(place, above), above)
        settled |= expansion.settled
    rows = connection.execute(
        sql.SQL(
            "select t.table_id from {0}.ducklake_table t join {0}.ducklake_schema s "
            "using (schema_id) where s.schema_name = any(%s) and t.table_name = '_position' "
            "and t.end_snapshot is null and s.end_snapshot is null"
        ).format(_LAKE),
        (list(found.streams),),
    ).fetchall()
    return LiveViews(
        found.queries, found.reads, found.landing, frozenset(settled),
        tuple(int(row[0]) for row in rows),
    )  # fmt: skip


def last_commit(connection: psycopg.Connection, views: LiveViews, after: int) -> int | None:
    """Return the newest snapshot after one in which any of the streams committed a batch."""
    if not views.positions:
        return None
    wanted = "|".join(map(str, views.positions))
    row = connection.execute(
        sql.SQL(
            "select max(snapshot_id) from {}.ducklake_snapshot_changes where snapshot_id > %s "
            "and changes_made ~ %s"
        ).format(_LAKE),
        (after, f"(^|,)(inlined_insert|inserted_into_table):({wanted})(,|$)"),
    ).fetchone()
    return int(row[0]) if row and row[0] is not None else None


def table_ids(
    connection: psycopg.Connection, places: Sequence[Place], commit: int
) -> dict[Place, int]:
    """Return the ids that tables have at a snapshot; one that does not exist is left out."""
    rows = connection.execute(
        sql.SQL(
            "select s.schema_name, t.table_name, t.table_id from {0}.ducklake_table t "
            "join {0}.ducklake_schema s using (schema_id) "
            "where s.schema_name = any(%(schemas)s) and t.table_name = any(%(tables)s) "
            "and t.begin_snapshot <= %(at)s and coalesce(t.end_snapshot > %(at)s, true) "
            "and s.begin_snapshot <= %(at)s and coalesce(s.end_snapshot > %(at)s, true)"
        ).format(_LAKE),
        {"schemas": [s for s, _ in places], "tables": [t for _, t in places], "at": commit},
    ).fetchall()
    return {(schema, table): int(number) for schema, table, number in rows}


def data_bytes(
    connection: psycopg.Connection, places: Sequence[Place], at: int
) -> dict[Place, int]:
    """Return how large the data files of tables are at a snapshot."""
    ids = table_ids(connection, places, at)
    rows = connection.execute(
        sql.SQL(
            "select table_id, sum(file_size_bytes)::bigint from {}.ducklake_data_file "
            "where table_id = any(%(ids)s) and begin_snapshot <= %(at)s "
            "and coalesce(end_snapshot > %(at)s, true) group by 1"
        ).format(_LAKE),
        {"ids": list(ids.values()), "at": at},
    ).fetchall()
    sizes = {int(number): int(size) for number, size in rows}
    return {place: sizes.get(number, 0) for place, number in ids.items()}


@dataclass(frozen=True)
class Changes:
    """What happened to tables between two snapshots, by their ids.

    Attributes:
        appended: Rows were added, and nothing else.
        rewritten: Rows went away, or columns changed.
        is_known: False when snapshots between the two have expired: anything may have happened.
    """

    appended: frozenset[int]
    rewritten: frozenset[int]
    is_known: bool


def changes_between(connection: psycopg.Connection, after: int, until: int) -> Changes:
    """Return what the snapshots after one, up to another, changed."""
    rows = connection.execute(
        sql.SQL(
            "select changes_made from {}.ducklake_snapshot_changes "
            "where snapshot_id > %s and snapshot_id <= %s"
        ).format(_LAKE),
        (after, until),
    ).fetchall()
    appended, rewritten = set(), set()
    for (text,) in rows:
        for kind, number in _CHANGE.findall(text or ""):
            if kind in _APPENDS:
                appended.add(int(number))
            elif kind not in _KEEPS_ROWS:
                rewritten.add(int(number))
    return Changes(
        frozenset(appended - rewritten), frozenset(rewritten), len(rows) == until - after
    )


class _Expansion:
    """Puts views in place of their names, and notes which tables they reach."""

    def __init__(self, views: dict[Place, str], settled: str) -> None:
        self._views, self._database = views, settled
        self.landing: dict[Place, int | None] = {}
        self.settled: set[Place] = set()

    def of(self, text: str) -> str:
        """Return a view's SQL with views in place, and each table in the database of its copy."""
        return _REFERENCE.sub(self._put, text)

    def _put(self, match: re.Match[str]) -> str:
        place = schema, name = _unquoted(match[1]), _unquoted(match[2])
        if place in self._views:
            return f"({self.of(self._views[place])})"
        if schema.startswith(LANDING):
            above = _above(match)
            self.landing[place] = _least(self.landing.get(place, above), above)
            return f"{TAILS}.{quoted(schema)}.{quoted(name)}"
        self.settled.add(place)
        return f"{self._database}.{quoted(schema)}.{quoted(name)}"


def _above(match: re.Match[str]) -> int | None:
    """Return the sequence that a reference to a landing table filters by, if that is all."""
    before, tail = match.string[: match.start()], _TAIL.match(match.string, match.end())
    return int(tail[1]) if tail and before.endswith(" FROM ") else None


def _least(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else min(one, other)


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
