"""A destination's scenarios: overwrite, append, empty, evolution, failure, two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pyarrow as pa
import pytest

from lavra.errors import ConfigurationError
from lavra.landing.bronze_writer import CONTRACT, BronzeWriter
from lavra.landing.housekeeping import tidy
from lavra.landing.manifest import current_columns, current_files, current_paths
from lavra.landing.run import run_connection
from lavra.storage import LakeStorage
from tests.lavra.landing.conftest import Lander

INCREMENTAL = {
    "sync_mode": "incremental_deduped_history", "cursor_field": "updated_at", "primary_key": "id",
}  # fmt: skip


def make_things(source: psycopg.Connection, count: int) -> None:
    source.execute(
        "create table things (id int primary key, name text, "
        "updated_at timestamptz not null default clock_timestamp())"
    )
    source.execute("insert into things select g, 'n' || g from generate_series(1, %s) g", (count,))


def test_a_table_lands_under_the_contract_on_both_storages(
    source: psycopg.Connection, make_lander: Callable[[LakeStorage], Lander], storage: LakeStorage
) -> None:
    make_things(source, 3)
    lander = make_lander(storage)
    result = lander.land()
    assert (result.error, result.row_count, result.file_count) == (None, 3, 1)
    [path] = current_paths(lander.catalog, "test", "things")
    assert path.startswith("bronze/test/things/20")
    assert path.endswith("_0.parquet")
    assert current_files(lander.catalog, storage, "test", "things") == [storage.url_of(path)]
    table = lander.landed()
    assert table.schema.names == ["id", "name", "updated_at", *CONTRACT.names]
    assert [table.schema.field(field.name) for field in CONTRACT] == list(CONTRACT)
    assert len(set(table.column("_airbyte_raw_id").to_pylist())) == 3
    assert table.column("_airbyte_meta").to_pylist()[0] == {"sync_id": 1, "changes": []}
    assert lander.rows("id", "name") == [(1, "n1"), (2, "n2"), (3, "n3")]


def test_overwrite_replaces_and_keeps_the_old_files_for_those_who_read_them(
    source: psycopg.Connection, lander: Lander
) -> None:
    make_things(source, 2)
    lander.land()
    [old] = current_paths(lander.catalog, "test", "things")
    source.execute("delete from things where id = 1")
    lander.land()
    assert lander.rows("id", "_airbyte_generation_id") == [(2, 2)]
    assert lander.storage.exists(old)
    with lander.catalog.connect() as catalog:
        catalog.execute("update lavra.landing_file set replaced_at = now() - interval '3 days' "
                        "where replaced_at is not null")  # fmt: skip
    tidy(lander.settings, lander.catalog, lander.storage, lander.connection())
    assert not lander.storage.exists(old)
    assert lander.rows("id", "_airbyte_generation_id") == [(2, 2)]


def test_append_keeps_what_was_there(source: psycopg.Connection, lander: Lander) -> None:
    make_things(source, 1)
    lander.land(sync_mode="full_refresh_append")
    lander.land(sync_mode="full_refresh_append")
    assert lander.rows("id", "_airbyte_generation_id") == [(1, 1), (1, 1)]


@pytest.mark.parametrize("mode", [{}, INCREMENTAL, {"sync_mode": "full_refresh_append"}])
def test_an_empty_table_has_columns(
    source: psycopg.Connection, lander: Lander, mode: dict[str, str]
) -> None:
    make_things(source, 0)
    assert lander.land(**mode).row_count == 0
    assert lander.landed().schema.names[:2] == ["id", "name"]
    assert lander.landed().num_rows == 0
    source.execute("insert into things values (1, 'a')")
    lander.land(**mode)
    assert lander.rows("id", "name") == [(1, "a")]


def test_a_table_that_became_empty_is_empty(source: psycopg.Connection, lander: Lander) -> None:
    make_things(source, 2)
    lander.land()
    source.execute("truncate things")
    lander.land()
    assert lander.landed().num_rows == 0


def test_large_tables_land_in_several_files(
    source: psycopg.Connection, lander: Lander, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lavra.landing.postgres_source.BLOCK_BYTES", 2_000)
    monkeypatch.setitem(BronzeWriter.__init__.__kwdefaults__, "rows_per_file", 100)
    make_things(source, 1_000)
    assert lander.land().file_count > 5
    assert sorted(lander.rows("id")) == [(n,) for n in range(1, 1_001)]
    assert len(set(lander.landed().column("_airbyte_raw_id").to_pylist())) == 1_000


def test_columns_come_and_go_and_change_type(source: psycopg.Connection, lander: Lander) -> None:
    make_things(source, 1)
    append = {"sync_mode": "full_refresh_append"}
    lander.land(**append)
    source.execute(
        "alter table things add price numeric(8,2) default 1.5, drop column name, "
        "alter id type text"
    )
    result = lander.land(**append)
    assert {(c["column"], c["change"], c["to"]) for c in result.schema_changes} == {
        ("price", "added", "decimal(8,2)"), ("name", "removed", None), ("id", "retyped", "string"),
    }  # fmt: skip
    table = lander.landed()
    assert table.column("name").to_pylist() == ["n1", None]
    assert table.column("id").to_pylist() == ["1", "1"]
    assert [str(v) for v in table.column("price").to_pylist()] == ["None", "1.50"]
    columns = current_columns(lander.catalog, "test", "things")
    assert [(c.name, c.type) for c in columns] == [
        ("id", "string"), ("updated_at", "timestamp_with_timezone"), ("price", "decimal(8,2)"),
    ]  # fmt: skip


def test_new_columns_may_be_ignored_or_stop_the_connection(
    source: psycopg.Connection, lander: Lander
) -> None:
    make_things(source, 1)
    lander.land()
    source.execute("alter table things add price int default 5")
    lander.extra = {"non_breaking_schema_updates_behavior": "disable_connection"}
    result = lander.land()
    assert result.error is not None
    assert "price added" in result.error
    assert "price" not in lander.landed().schema.names
    lander.extra = {"non_breaking_schema_updates_behavior": "ignore"}
    assert lander.land().error is None
    assert lander.landed().schema.names[:3] == ["id", "name", "updated_at"]
    lander.extra = {}
    lander.land()
    assert lander.landed().column("price").to_pylist() == [5]


def test_a_failing_stream_leaves_the_others_and_its_own_last_state(
    source: psycopg.Connection, lander: Lander
) -> None:
    make_things(source, 1)
    declared = lander.connection().model_dump(exclude={"streams"}) | {
        "streams": [{"name": "nowhere"}, {"name": "things"}, {"name": "broken"}]
    }
    source.execute("create view broken as select 1 / (id - 1) as v from things")
    results = run_connection(
        lander.settings, lander.catalog, lander.storage,
        lander.connection().model_validate(declared),
    )  # fmt: skip
    assert [result.error is None for result in results] == [False, True, False]
    assert "no table public.nowhere" in (results[0].error or "")
    assert "division by zero" in (results[2].error or "")
    assert lander.rows("id") == [(1,)]
    assert lander.landed("broken").num_rows == 0


def test_a_source_that_is_away_fails_every_stream(lander: Lander) -> None:
    lander.config = lander.config | {"host": "/nowhere"}
    result = lander.land()
    assert "cannot be read" in (result.error or "")
    assert result.remedy


def test_two_connections_may_not_share_a_place(source: psycopg.Connection, lander: Lander) -> None:
    make_things(source, 1)
    lander.land()
    lander.extra = {"name": "other", "namespace": "test"}
    result = lander.land()
    assert "belongs to the connection test" in (result.error or "")


def test_unknown_stream_and_unset_reference_are_refused(lander: Lander) -> None:
    with pytest.raises(ConfigurationError, match=r"no stream nope.*It has things"):
        run_connection(
            lander.settings, lander.catalog, lander.storage, lander.connection(), streams=["nope"]
        )
    lander.config = lander.config | {"password": "${NOT_SET_ANYWHERE}"}
    with pytest.raises(ConfigurationError, match="NOT_SET_ANYWHERE, not set here"):
        lander.land()


def test_runs_at_the_same_time_take_turns(source: psycopg.Connection, lander: Lander) -> None:
    make_things(source, 500)
    threads = [threading.Thread(target=lander.land, kwargs=INCREMENTAL) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lander.rows("id")) == [(n,) for n in range(1, 501)]
    with lander.catalog.connect() as catalog:
        syncs = catalog.execute("select status, row_count from lavra.landing_sync order by id")
        assert syncs.fetchall() == [("succeeded", 500), ("succeeded", 0), ("succeeded", 0)]


def test_reading_no_files_gives_an_empty_table() -> None:
    from lavra.landing.bronze_reader import read_files

    assert read_files(None, []) == pa.schema(CONTRACT).empty_table()  # type: ignore[arg-type]
