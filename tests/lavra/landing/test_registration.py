"""What a real Airbyte landed is found, entered, and read by @bronze as the contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from sqlmesh.core.dialect import parse
from sqlmesh.core.macros import RuntimeStage, macro
from sqlmesh.core.model import load_sql_based_model

from lavra.ducklake import connect_duckdb
from lavra.errors import ConfigurationError, ContractError, SourceError
from lavra.landing import registration
from lavra.landing.bronze_reader import relation_sql
from lavra.landing.connections import Connection
from lavra.landing.dialects import Target
from lavra.landing.housekeeping import tidy
from lavra.landing.manifest import current_paths, landed
from lavra.landing.registration import KEPT, Evidence, register
from lavra.landing.run import StreamResult
from lavra.modeling import macros
from lavra.settings import Settings
from lavra.storage import LakeStorage, open_storage
from tests.lavra.landing.airbyte_files import LEGACY, V2, land, legacy_row, v2_row
from tests.lavra.landing.conftest import Lander

DAY = 86_400_000
EPOCH = 1_767_312_000_000  # 2026-01-02
PLAIN = "id::BIGINT, price::DECIMAL(18, 2), created_at::TIMESTAMPTZ, born::DATE"
Register = Callable[..., StreamResult]


def declared(dialect: str, mode: str) -> Connection:
    return Connection.model_validate(
        {
            "name": "test", "description": "d", "owner": "o",
            "source": {"connector": "faker"}, "destination": {"dialect": dialect},
            "streams": [{"name": "things", "sync_mode": mode}],
        }
    )  # fmt: skip


@pytest.fixture
def enter(lander: Lander) -> Register:
    """Enter what lies in the bucket; ``job`` is evidence of a job that is over."""

    def enter(
        dialect: str, mode: str = "full_refresh_append", job: Evidence | None = None
    ) -> StreamResult:
        connection = declared(dialect, mode)
        return register(lander.catalog, lander.storage, connection, connection.streams[0], job)

    return enter


@pytest.fixture
def rows(lander: Lander, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Read columns as a model would, by @bronze, on a connection like SQLMesh's."""
    lake = SimpleNamespace(catalog=lander.catalog, storage=lander.storage, settings=lander.settings)
    monkeypatch.setattr(macros, "active_lake", lambda: lake)

    def rows(columns: str, selected: str = "*") -> list[Any]:
        text = f"MODEL (name b.t, kind FULL); SELECT {selected} FROM @bronze(test, things, {columns}) AS l"  # noqa: E501
        model = load_sql_based_model(
            parse(text, default_dialect="duckdb"), dialect="duckdb", default_catalog="lake",
            macros=macro.get_registry(), module_path=Path("/nowhere"),
        )  # fmt: skip
        query = model.render_query(runtime_stage=RuntimeStage.EVALUATING)
        with duckdb.connect(config={"threads": "1"}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(query.sql(dialect="duckdb") + " order by all").fetchall()

    return rows


CREATED = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
EXTRACTED = dt.datetime(2026, 1, 3, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("dialect", "golden"), [("gcs_legacy", (LEGACY, legacy_row)), ("v2", (V2, v2_row))]
)
def test_both_dialects_are_read_as_the_contract(
    lander: Lander, enter: Register, rows: Any, dialect: str, golden: Any
) -> None:
    schema, row = golden
    land(lander.storage, [row(2), row(4)], schema, epoch=EPOCH)
    result = enter(dialect)
    assert (result.row_count, result.file_count, result.error) == (2, 1, None)
    # What no property declares is dropped, and counted: per row one at the root, one in address.
    assert result.misfit_count == (4 if dialect == "gcs_legacy" else 0)
    found = rows(
        f"{PLAIN}, address::STRUCT(city VARCHAR, since TIMESTAMPTZ)",
        "_airbyte_raw_id, _airbyte_extracted_at, _airbyte_generation_id, id, price, created_at, "
        "born, address",
    )
    assert [(*r[:4], float(r[4]), *r[5:]) for r in found] == [
        (
            f"00000000-0000-0000-0000-{number:012}", EXTRACTED, 1, number, number / 2, CREATED,
            dt.date(2000, 1, 1),
            {"city": "Recife", "since": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
        )
        for number in (2, 4)
    ]  # fmt: skip


def test_a_nested_record_is_read_in_both_dialects(
    lander: Lander, enter: Register, rows: Any
) -> None:
    visits = "visits::STRUCT(at TIMESTAMPTZ, page VARCHAR)[]"
    seen = [{"at": dt.datetime(2026, 1, 1, 3, tzinfo=dt.UTC), "page": "/"}]
    land(lander.storage, [legacy_row(1)], LEGACY, epoch=EPOCH)
    enter("gcs_legacy")
    assert rows(visits, "visits") == [(seen,)]
    [(text,)] = rows("visits::TEXT", "visits")
    assert "_airbyte" not in text
    land(lander.storage, [v2_row(2)], V2, epoch=EPOCH + DAY)
    enter("v2")  # the destination was upgraded: each file is read in its own dialect
    assert rows(visits, "visits") == [(seen,), (seen,)]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-02T03:04:05+00:00", CREATED),
        ("2026-01-02 00:04:05-03", CREATED),
        ("20260102T030405Z?", None),
        (None, None),
    ],
)
def test_a_date_time_that_airbyte_kept_as_text_is_read(
    lander: Lander, enter: Register, rows: Any, text: str | None, instant: Any
) -> None:
    row = legacy_row(1)
    row["created_at"] = {"member0": None, "member1": text} if text else None
    land(lander.storage, [row], LEGACY, epoch=EPOCH)
    enter("gcs_legacy")
    assert rows(PLAIN, "created_at") == [(instant,)]


def test_only_what_is_new_is_entered_and_nothing_twice(
    lander: Lander, enter: Register, rows: Any
) -> None:
    storage = lander.storage
    land(storage, [v2_row(1)], V2, epoch=EPOCH)
    assert enter("v2").row_count == 1
    assert enter("v2").file_count == 0
    land(storage, [v2_row(2)], V2, epoch=EPOCH, part=1)
    with storage.publish("bronze/test/things/notes.txt") as stream:
        stream.write(b"not Airbyte's")
    assert enter("v2").row_count == 1
    assert rows(PLAIN, "id") == [(1,), (2,)]


def test_what_our_own_runs_left_is_not_airbytes(
    source: Any, lander: Lander, enter: Register, rows: Any
) -> None:
    source.execute("create table things (id int primary key)")
    source.execute("insert into things values (9)")
    assert lander.land(sync_mode="full_refresh_append").error is None
    land(lander.storage, [v2_row(1)], V2, epoch=EPOCH)
    assert enter("v2").file_count == 1
    assert rows("id::BIGINT", "id") == [(1,), (9,)]


def test_another_dialect_is_named_and_nothing_is_entered(
    lander: Lander, enter: Register, rows: Any
) -> None:
    path = land(lander.storage, [v2_row(1)], V2, epoch=EPOCH)
    with pytest.raises(ContractError, match=r"_0\.parquet is not .* gcs_legacy.*It is v2") as told:
        enter("gcs_legacy")
    assert path in told.value.message
    assert rows(PLAIN, "id") == []


def test_what_is_no_parquet_is_named(lander: Lander, enter: Register) -> None:
    with lander.storage.publish(f"bronze/test/things/2026_01_02_{EPOCH}_0.parquet") as stream:
        stream.write(b"id,name\n1,a\n")
    with pytest.raises(ContractError, match=r"is not a Parquet file.*the format Parquet"):
        enter("v2")


def test_columns_come_and_go_and_change_their_type(
    lander: Lander, enter: Register, rows: Any
) -> None:
    def schema(**own: pa.DataType) -> pa.Schema:
        return pa.schema([*list(V2)[:4], *own.items()])

    plain = {k: v for k, v in v2_row(0).items() if k.startswith("_airbyte")}
    text, record = pa.string(), pa.struct([("zip", pa.int64())])
    files: list[tuple[pa.Schema, dict[str, Any]]] = [
        (schema(id=pa.int64(), total=pa.int64(), place=text, old=text),
         {"id": 1, "total": 5, "place": '{"zip": 7, "x": 1}', "old": "o"}),
        (schema(place=record, total=pa.float64(), id=pa.int64(), fresh=pa.bool_()),
         {"id": 2, "total": 5.5, "place": {"zip": 8}, "fresh": True}),
        (schema(id=text, total=text, place=text),
         {"id": "3", "total": "6.25", "place": "no json"}),
    ]  # fmt: skip
    changes = []
    for number, (made, row) in enumerate(files):
        land(lander.storage, [plain | row], made, epoch=EPOCH + number * DAY)
        result = enter("v2")
        changes.append({(c["column"], c["change"], c["to"]) for c in result.schema_changes})
    assert changes[1] == {
        ("total", "retyped", "number"), ("place", "retyped", "json"), ("old", "removed", None),
        ("fresh", "added", "boolean"),
    }  # fmt: skip
    assert ("id", "retyped", "string") in changes[2]
    declared = "id::BIGINT, total::DOUBLE, old::TEXT, fresh::BOOLEAN"
    named = "id, total, old, fresh, place"
    assert rows(f"{declared}, place::STRUCT(zip BIGINT)", named) == [
        (1, 5.0, "o", None, {"zip": 7}),
        (2, 5.5, None, True, {"zip": 8}),
        (3, 6.25, None, None, None),
    ]
    assert rows(f"{declared}, place::TEXT", "place") == [
        ("no json",), ('{"zip": 7, "x": 1}',), ('{"zip":8}',),
    ]  # fmt: skip


OVERWRITE = "full_refresh_overwrite"


def test_an_overwritten_stream_shows_the_last_complete_sync(
    lander: Lander, enter: Register, rows: Any
) -> None:
    storage = lander.storage
    first = land(storage, [legacy_row(1)], LEGACY, epoch=EPOCH)
    assert enter("gcs_legacy", OVERWRITE, Evidence(1, succeeded=False)).file_count == 0
    assert rows(PLAIN, "id") == []
    enter("gcs_legacy", OVERWRITE, Evidence(1, succeeded=True))
    # The next sync deletes first, then writes, then fails.
    storage.delete([first])
    assert rows(PLAIN, "id") == [(1,)]
    second = land(storage, [legacy_row(2)], LEGACY, epoch=EPOCH + DAY)
    enter("gcs_legacy", OVERWRITE, Evidence(2, succeeded=False))
    assert rows(PLAIN, "id, _airbyte_generation_id") == [(1, 1)]
    storage.delete([second])
    land(storage, [legacy_row(3)], LEGACY, epoch=EPOCH + 2 * DAY)
    enter("gcs_legacy", OVERWRITE, Evidence(3, succeeded=True))
    assert rows(PLAIN, "id, _airbyte_generation_id") == [(3, 2)]
    enter("gcs_legacy", OVERWRITE, Evidence(3, succeeded=True))
    assert rows(PLAIN, "id, _airbyte_generation_id") == [(3, 2)]


def test_a_generation_of_v2_takes_the_place_of_the_one_before(
    lander: Lander, enter: Register, rows: Any
) -> None:
    land(lander.storage, [v2_row(1, 4)], V2, epoch=EPOCH)
    enter("v2", OVERWRITE, Evidence(1, succeeded=True))
    # The new generation is complete, and the old one not deleted yet.
    land(lander.storage, [v2_row(2, 5)], V2, epoch=EPOCH + DAY)
    assert enter("v2", OVERWRITE, Evidence(2, succeeded=True)).row_count == 1
    assert rows(PLAIN, "id, _airbyte_generation_id") == [(2, 5)]


def test_a_job_that_left_the_stream_alone_changes_nothing(
    lander: Lander, enter: Register, rows: Any
) -> None:
    land(lander.storage, [v2_row(1, 4)], V2, epoch=EPOCH)
    enter("v2", OVERWRITE, Evidence(1, succeeded=True))
    before = current_paths(lander.catalog, "test", "things")
    assert enter("v2", OVERWRITE, Evidence(2, succeeded=True)).file_count == 0
    assert current_paths(lander.catalog, "test", "things") == before
    # One that went on within the generation: the file that is there already counts once.
    land(lander.storage, [v2_row(2, 4)], V2, epoch=EPOCH, part=1)
    enter("v2", OVERWRITE, Evidence(3, succeeded=True))
    assert rows(PLAIN, "id") == [(1,), (2,)]


def test_a_table_that_became_empty_is_empty(lander: Lander, enter: Register, rows: Any) -> None:
    path = land(lander.storage, [v2_row(1)], V2, epoch=EPOCH)
    enter("v2", OVERWRITE, Evidence(1, succeeded=True))
    lander.storage.delete([path])
    enter("v2", OVERWRITE, Evidence(2, succeeded=True))
    assert rows(PLAIN, "id") == []


def test_a_sync_that_begins_meanwhile_is_not_mixed_in(
    lander: Lander, enter: Register, rows: Any
) -> None:
    land(lander.storage, [legacy_row(1)], LEGACY, epoch=EPOCH)
    enter("gcs_legacy", OVERWRITE, Evidence(1, succeeded=True))
    land(lander.storage, [legacy_row(2)], LEGACY, epoch=EPOCH + DAY)
    overtaken = Evidence(2, succeeded=True, is_newest=lambda: False)
    with pytest.raises(SourceError, match="began to overwrite things again"):
        enter("gcs_legacy", OVERWRITE, overtaken)
    assert rows(PLAIN, "id") == [(1,)]


def test_in_a_bucket_too_and_compacted(
    make_lander: Callable[[LakeStorage], Lander], gcs_settings: Settings
) -> None:
    lander = make_lander(open_storage(gcs_settings))
    connection = declared("gcs_legacy", OVERWRITE)
    for number in (1, 2):
        land(lander.storage, [legacy_row(number)], LEGACY, epoch=EPOCH, part=number)
    seen = Evidence(1, succeeded=True)
    result = register(lander.catalog, lander.storage, connection, connection.streams[0], seen)
    assert (result.row_count, result.file_count) == (2, 2)
    files = landed(lander.catalog, lander.storage, "test", "things").files
    [query] = relation_sql(files, {"created_at": Target("TIMESTAMPTZ")})
    with connect_duckdb(lander.storage) as connected:
        assert connected.execute(query).fetchall() == [(CREATED,), (CREATED,)]
    tidy(gcs_settings, lander.catalog, lander.storage, connection, compact_from=2)
    assert sorted(lander.rows("id", "price")) == [(1, 0.5), (2, 1.0)]


def test_without_evidence_nothing_is_overwritten(lander: Lander, enter: Register) -> None:
    land(lander.storage, [legacy_row(1)], LEGACY, epoch=EPOCH)
    with pytest.raises(ConfigurationError, match="LAVRA_AIRBYTE_URL"):
        enter("gcs_legacy", OVERWRITE)


def test_what_airbyte_deleted_is_no_longer_read(lander: Lander, enter: Register, rows: Any) -> None:
    path = land(lander.storage, [v2_row(1)], V2, epoch=EPOCH)
    enter("v2")
    lander.storage.delete([path])
    land(lander.storage, [v2_row(2, 2)], V2, epoch=EPOCH + DAY)
    enter("v2")
    assert rows(PLAIN, "id") == [(2,)]


def test_a_crash_before_the_commit_leaves_copies_that_the_next_removes(
    lander: Lander, enter: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(lander.storage, [legacy_row(1)], LEGACY, epoch=EPOCH)
    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(registration, "finish_sync", _die)
        enter("gcs_legacy", OVERWRITE, Evidence(1, succeeded=True))
    assert len(lander.storage.list_files(KEPT)) == 1
    enter("gcs_legacy", OVERWRITE, Evidence(1, succeeded=False))
    assert lander.storage.list_files(KEPT) == []
    assert enter("gcs_legacy", OVERWRITE, Evidence(1, succeeded=True)).row_count == 1
    assert len(lander.storage.list_files(KEPT)) == 1


def _die(*_: Any) -> None:
    raise ConnectionError
