"""The changed_rows kind: the table equals the result, and only what changed is written."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlglot import exp, parse_one
from sqlmesh.utils.errors import ConfigError

from lavra.catalog import Catalog
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.modeling.changed_rows import ChangedRowsMaterialization
from lavra.modeling.engine import LakeEngineAdapter
from lavra.settings import Settings
from lavra.storage import open_storage

Row = tuple[int | None, str | None, float | None]
rows = st.lists(
    st.tuples(
        st.none() | st.integers(0, 4),
        st.none() | st.sampled_from(["a", "b", "a'b"]),
        st.none() | st.sampled_from([0.0, 1.5, float("nan")]),
    ),
    max_size=12,
)
LAKE_TABLE = "lake.main.t"
COLUMNS = {"id": "BIGINT", "text": "TEXT", "amount": "DOUBLE"}


def model(columns: dict[str, str] = COLUMNS) -> Any:
    types = {name: exp.DataType.build(kind, dialect="duckdb") for name, kind in columns.items()}
    flags = SimpleNamespace(is_ignore=False)
    return SimpleNamespace(
        name="test.t", grains=[exp.column("id")], annotated=True, columns_to_types=types,
        on_destructive_change=flags, on_additive_change=flags,
    )  # fmt: skip


def write(connection: duckdb.DuckDBPyConnection, result: Any, table: str = "t") -> None:
    adapter = LakeEngineAdapter(lambda: connection)
    materialization = ChangedRowsMaterialization(adapter)
    materialization.insert(table, result, model(), False, {})


def query(wanted: list[Row]) -> exp.Query:
    source = "t WHERE FALSE"
    if wanted:
        source = f"(VALUES {', '.join(map(_values, wanted))}) AS v(id, text, amount)"
    parsed = parse_one(f"SELECT id, text, amount FROM {source}", dialect="duckdb")
    assert isinstance(parsed, exp.Query)
    return parsed


def _values(row: Row) -> str:
    typed = (
        exp.cast(exp.null() if value is None else exp.Literal.string(str(value)), kind)
        for value, kind in zip(row, COLUMNS.values(), strict=True)
    )
    return exp.Tuple(expressions=list(typed)).sql(dialect="duckdb")


def contents(connection: duckdb.DuckDBPyConnection, table: str = "t") -> Counter[str]:
    return Counter(str(row) for row in connection.execute(f"SELECT * FROM {table}").fetchall())


@hypothesis_settings(max_examples=60, deadline=None)
@given(before=rows, after=rows)
def test_the_table_equals_the_result(before: list[Row], after: list[Row]) -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (id BIGINT, text TEXT, amount DOUBLE)")
    for wanted in (before, after):
        write(connection, query(wanted))
        assert contents(connection) == Counter(str(row) for row in wanted)
    connection.close()


def test_an_empty_frame_empties_the_table() -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE t AS SELECT 1::BIGINT AS id, 'a' AS text, 0.5::DOUBLE AS amount"
    )
    write(connection, pd.DataFrame({"id": [], "text": [], "amount": []}))
    assert not contents(connection)
    write(connection, pd.DataFrame({"id": [3], "text": ["x"], "amount": [2.0]}))
    assert contents(connection) == Counter(["(3, 'x', 2.0)"])


def test_only_what_changed_is_written(settings: Settings, catalog: Catalog) -> None:
    connection = connect_duckdb(open_storage(settings))
    attach_lake(connection, catalog, open_storage(settings))
    connection.execute("USE lake")
    connection.execute("CREATE TABLE t (id BIGINT, text TEXT, amount DOUBLE)")
    wanted: list[Row] = [(number, "a", 1.0) for number in range(50)]
    write(connection, query(wanted), LAKE_TABLE)
    first = _snapshot(connection)
    write(connection, query(wanted), LAKE_TABLE)
    assert _snapshot(connection) == first, "nothing changed, so there is no snapshot"

    wanted[7] = (7, "b", 1.0)
    del wanted[9]
    wanted.append((99, "c", None))
    write(connection, query(wanted), LAKE_TABLE)
    second = _snapshot(connection)
    assert second == first + 1, "all of a change is one snapshot"
    assert contents(connection) == Counter(str(row) for row in wanted)
    removed, added = (
        connection.execute(
            f"SELECT id FROM ducklake_table_{what}('lake', 'main', 't', $1, $1) ORDER BY 1",
            [second],
        ).fetchall()
        for what in ("deletions", "insertions")
    )
    assert removed == [(7,), (9,)]
    assert added == [(7,), (99,)]
    connection.close()


def test_a_failure_leaves_the_table_as_it_was(settings: Settings, catalog: Catalog) -> None:
    connection = connect_duckdb(open_storage(settings))
    attach_lake(connection, catalog, open_storage(settings))
    connection.execute("USE lake")
    connection.execute("CREATE TABLE t (id BIGINT NOT NULL, text TEXT, amount DOUBLE)")
    write(connection, query([(1, "a", 1.0)]), LAKE_TABLE)
    before = _snapshot(connection)
    with pytest.raises(duckdb.Error):
        write(connection, query([(2, "b", 1.0), (None, "c", 1.0)]), LAKE_TABLE)
    assert _snapshot(connection) == before
    assert contents(connection) == Counter(["(1, 'a', 1.0)"])
    write(connection, query([(2, "b", 1.0)]), LAKE_TABLE)
    assert contents(connection) == Counter(["(2, 'b', 1.0)"])
    connection.close()


def test_parts_and_a_missing_grain_are_refused() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t (id BIGINT, text TEXT, amount DOUBLE)")
    materialization = ChangedRowsMaterialization(LakeEngineAdapter(lambda: connection))
    with pytest.raises(ConfigError, match="returns one DataFrame"):
        materialization.append("t", query([]), model(), {})
    keyless = model()
    keyless.grains = []
    with pytest.raises(ConfigError, match="declares no grain"):
        materialization.insert("t", query([]), keyless, False, {})


def _snapshot(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()
    assert row is not None
    return int(row[0])
