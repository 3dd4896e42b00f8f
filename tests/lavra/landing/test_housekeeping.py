"""Bronze kept tidy: fewer files, the same rows, and nothing deleted under a reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from lavra.catalog.locks import LAKE_WRITE_LOCK, advisory_lock
from lavra.errors import ContractError
from lavra.landing import housekeeping
from lavra.landing.bronze_reader import read_schema
from lavra.landing.connections import Connection
from lavra.landing.housekeeping import Tidied, tidy
from lavra.landing.manifest import current_paths, landed
from lavra.landing.registration import KEPT, Evidence, register
from tests.lavra.landing.airbyte_files import LEGACY, V2, land, legacy_row, v2_row
from tests.lavra.landing.conftest import Lander

APPEND = {"sync_mode": "full_refresh_append"}
EPOCH = 1_767_312_000_000


def things(source: psycopg.Connection, lander: Lander, times: int = 3) -> None:
    source.execute(
        "create table things (id int primary key, at timestamptz, price numeric(9,2), doc jsonb);"
        "insert into things select n, now(), n * 1.25, '{\"a\": [1]}' from generate_series(1, 3) n"
    )
    for _ in range(times):
        assert lander.land(**APPEND).error is None


def tidied(lander: Lander, stream: dict[str, Any] = APPEND, **settings: Any) -> Tidied:
    changed = lander.settings.model_copy(update=settings)
    [result] = tidy(
        changed, lander.catalog, lander.storage, lander.connection(**stream), compact_from=2
    )
    return result


def objects(lander: Lander) -> set[str]:
    return {f.path for folder in ("bronze", KEPT) for f in lander.storage.list_files(folder)}


def sql(lander: Lander, statement: str) -> None:
    with lander.catalog.connect() as connection:
        connection.execute(statement.encode())


def all_rows(lander: Lander) -> list[Any]:
    return sorted(lander.landed().to_pylist(), key=lambda row: row["_airbyte_raw_id"])


def test_small_files_become_one_of_the_same_rows(
    source: psycopg.Connection, lander: Lander
) -> None:
    things(source, lander)
    before, names = all_rows(lander), landed(lander.catalog, lander.storage, "test", "things").names
    schema = read_schema(lander.storage, current_paths(lander.catalog, "test", "things")[0])
    result = tidied(lander)
    assert (result.compacted, result.written, result.deleted) == (3, 1, 0)
    [path] = current_paths(lander.catalog, "test", "things")
    assert all_rows(lander) == before
    assert read_schema(lander.storage, path).equals(schema)
    # Models remember files by name: for them nothing has changed.
    assert landed(lander.catalog, lander.storage, "test", "things").names == names
    assert (tidied(lander).compacted, len(objects(lander))) == (0, 4)
    assert tidied(lander, bronze_keep_replaced_days=0).deleted == 3
    assert objects(lander) == {path}
    assert landed(lander.catalog, lander.storage, "test", "things").names == names


def test_what_was_compacted_is_compacted_again(source: psycopg.Connection, lander: Lander) -> None:
    things(source, lander)
    tidied(lander)
    lander.land(**APPEND)
    assert tidied(lander, bronze_keep_replaced_days=0).compacted == 2
    tidied(lander, bronze_keep_replaced_days=0)
    assert len(lander.rows("id")) == 12
    assert len(landed(lander.catalog, lander.storage, "test", "things").names) == 4
    assert len(objects(lander)) == 1


def test_files_of_different_columns_stay_apart(source: psycopg.Connection, lander: Lander) -> None:
    things(source, lander, 2)
    source.execute("alter table things add column note text")
    for _ in range(2):
        lander.land(**APPEND)
    assert tidied(lander).written == 2
    assert len(lander.rows("id", "note")) == 12


def test_large_files_are_let_alone(source: psycopg.Connection, lander: Lander) -> None:
    things(source, lander)
    assert tidied(lander, bronze_small_file_mb=0).compacted == 0


def test_a_model_that_runs_keeps_what_it_reads(source: psycopg.Connection, lander: Lander) -> None:
    things(source, lander)
    with advisory_lock(lander.catalog, LAKE_WRITE_LOCK):
        assert tidied(lander, bronze_keep_replaced_days=0).deleted == 0
        assert tidied(lander, bronze_keep_replaced_days=0).deleted == 0
    assert tidied(lander, bronze_keep_replaced_days=0).deleted == 3


def test_a_file_that_a_view_names_is_kept(source: psycopg.Connection, lander: Lander) -> None:
    things(source, lander)
    viewed = current_paths(lander.catalog, "test", "things")[0]
    sql(lander, "create schema ducklake; create table ducklake.ducklake_view (sql text)")
    text = f"SELECT * FROM read_parquet(''/x/{viewed}'')"
    sql(lander, f"insert into ducklake.ducklake_view values ('{text}')")
    assert tidied(lander, bronze_keep_replaced_days=0).deleted == 2
    assert lander.storage.exists(viewed)


def test_generations_are_kept_as_the_settings_say(
    source: psycopg.Connection, lander: Lander
) -> None:
    source.execute("create table things (id int primary key)")
    for number in range(4):
        source.execute(f"insert into things values ({number})")
        lander.land()
    overwrite: dict[str, Any] = {}
    kept = {"bronze_keep_replaced_days": 0, "bronze_keep_generations": 2}
    assert tidied(lander, overwrite, **kept).deleted == 1
    assert len(objects(lander)) == 3
    assert tidied(lander, overwrite, bronze_keep_replaced_days=0).deleted == 2
    assert lander.rows("id") == [(0,), (1,), (2,), (3,)]


def test_old_files_expire_once_every_model_has_read_them(
    source: psycopg.Connection, lander: Lander
) -> None:
    def evaluated(model: str, names: tuple[str, ...], *, pending: bool = False) -> None:
        plain = json.dumps({"landed:test.things": [name.rsplit("/", 1)[-1] for name in names]})
        since = "now()" if pending else "null"
        sql(
            lander,
            f"insert into lavra.evaluation (physical_table, model, inputs, pending_since) values "
            f"('{model}', '{model}', '{plain}', {since}) on conflict (physical_table) do update "
            "set inputs = excluded.inputs, pending_since = excluded.pending_since",
        )

    things(source, lander)
    names = landed(lander.catalog, lander.storage, "test", "things").names
    sql(lander, "update lavra.landing_sync set ended_at = now() - interval '40 days' where id < 3")
    stream = APPEND | {"retention": "30d"}
    assert tidied(lander, stream).expired == 0  # no model has read the stream
    evaluated("a", names)
    evaluated("b", names[1:])
    assert tidied(lander, stream).expired == 0  # one has not read the first
    evaluated("b", names, pending=True)
    assert tidied(lander, stream).expired == 0  # it is being evaluated
    evaluated("b", names)
    # The three were compacted into one by now, which goes when all of it is old.
    assert tidied(lander, stream).expired == 0
    sql(lander, "update lavra.landing_sync set ended_at = now() - interval '40 days'")
    assert tidied(lander, stream).expired == 4
    assert lander.landed().num_rows == 0
    tidied(lander, stream, bronze_keep_replaced_days=0)
    assert objects(lander) == set()


@pytest.mark.parametrize("step", ["_write_batches", "_commit"])
def test_a_compaction_that_dies_changes_nothing_and_is_cleaned_up(
    source: psycopg.Connection, lander: Lander, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    things(source, lander)
    before, rows = objects(lander), all_rows(lander)
    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(housekeeping._StreamTidying, step, _die)
        tidied(lander)
    assert all_rows(lander) == rows
    assert lander.land(**APPEND).error is None  # removes what is left
    assert len(objects(lander)) == len(before) + 1
    assert tidied(lander).written == 1
    assert len(lander.rows("id")) == 12


def test_a_file_that_was_changed_in_the_bucket_is_not_compacted(
    source: psycopg.Connection, lander: Lander
) -> None:
    things(source, lander)
    first, second, _ = current_paths(lander.catalog, "test", "things")
    lander.storage.copy(first, second)  # the same schema
    sql(lander, f"update lavra.landing_file set row_count = 5 where path = '{second}'")
    with pytest.raises(ContractError, match=r"hold 9 rows, the manifest says 11"):
        tidied(lander)
    assert len(current_paths(lander.catalog, "test", "things")) == 3


@pytest.mark.parametrize(
    ("dialect", "golden"), [("gcs_legacy", (LEGACY, legacy_row)), ("v2", (V2, v2_row))]
)
def test_airbytes_files_are_compacted_as_the_contract(
    lander: Lander, dialect: str, golden: tuple[pa.Schema, Callable[..., Any]]
) -> None:
    schema, row = golden
    for number in range(1, 4):
        land(lander.storage, [row(number)], schema, epoch=EPOCH + number)
    connection = Connection.model_validate(
        {
            "name": "test", "description": "d", "owner": "o", "source": {"connector": "faker"},
            "destination": {"dialect": dialect}, "streams": [{"name": "things"} | APPEND],
        }
    )  # fmt: skip
    seen = Evidence(1, succeeded=True)
    register(lander.catalog, lander.storage, connection, connection.streams[0], seen)
    settings = lander.settings.model_copy(update={"bronze_keep_replaced_days": 0})
    for _ in range(2):
        tidy(settings, lander.catalog, lander.storage, connection, compact_from=2)
    [path] = current_paths(lander.catalog, "test", "things")
    assert path.startswith(f"{KEPT}/test/things/")
    assert objects(lander) == {path}
    table = lander.landed()
    assert sorted(table["id"].to_pylist()) == [1, 2, 3]
    assert table.schema.field("created_at").type == pa.timestamp("us", "UTC")
    assert "_airbyte_additional_properties" not in str(table.schema)
    # What was compacted is not found again, and what is new is.
    land(lander.storage, [row(4)], schema, epoch=EPOCH + 9)
    result = register(lander.catalog, lander.storage, connection, connection.streams[0], seen)
    assert (result.file_count, len(lander.storage.list_files(KEPT))) == (1, 1)


def _die(*_: Any) -> None:
    raise ConnectionError
