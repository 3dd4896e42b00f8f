"""@bronze: columns by name, NULL for what is missing, nothing of the files in a model."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlmesh.core.dialect import parse
from sqlmesh.core.macros import RuntimeStage, macro
from sqlmesh.core.model import load_sql_based_model

from lavra.landing.manifest import Landed, LandedFile
from lavra.modeling import macros

MODEL = """
MODEL (name bronze_shop.orders, kind FULL);
SELECT order_id::BIGINT AS order_id, amount::DECIMAL(18, 2) AS amount, _airbyte_extracted_at
FROM @bronze(shop, orders, order_id::BIGINT, amount::DECIMAL(18, 2)) AS landed
"""


def load(text: str = MODEL) -> Any:
    return load_sql_based_model(
        parse(text, default_dialect="duckdb"),
        dialect="duckdb",
        default_catalog="lake",
        macros=macro.get_registry(),
        module_path=Path("/nowhere"),  # as in a project: the package is not part of it
    )


def rows(model: Any) -> list[tuple[Any, ...]]:
    query = model.render_query(runtime_stage=RuntimeStage.EVALUATING)
    with duckdb.connect() as connection:
        return connection.execute(query.sql(dialect="duckdb") + " order by 1").fetchall()


@pytest.fixture
def files(tmp_path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(
        macros, "landed", lambda *_: Landed(tuple(LandedFile(n, n, 1, 1) for n in names), ())
    )
    contract = "'x' as _airbyte_raw_id, timestamptz '2026-01-01 00:00:00Z' as _airbyte_extracted_at"
    generation = "1::bigint as _airbyte_generation_id"
    with duckdb.connect() as connection:
        for name, columns in (
            ("a.parquet", "1::int as order_id, 2.5::double as amount"),
            ("b's.parquet", "2::bigint as order_id"),
            ("c.parquet", "'3' as order_id, '7.25' as amount, 'new' as extra"),
        ):
            path = str(tmp_path / name)
            connection.execute(
                f"copy (select {contract}, {generation}, {columns}) "
                f"to '{path.replace(chr(39), chr(39) * 2)}'"
            )
            names.append(path)
    return names


def test_columns_are_found_by_name_and_cast(files: list[str]) -> None:
    assert files
    assert [(i, float(a) if a is not None else None) for i, a, _ in rows(load())] == [
        (1, 2.5), (2, None), (3, 7.25),
    ]  # fmt: skip


def test_a_column_that_no_file_has_is_null(files: list[str]) -> None:
    del files[0], files[1]  # what is left lacks amount
    assert [(i, a) for i, a, _ in rows(load())] == [(2, None)]


def test_nothing_landed_is_an_empty_relation_of_the_declared_types(files: list[str]) -> None:
    files.clear()
    model = load()
    assert rows(model) == []
    assert {k: v.sql(dialect="duckdb") for k, v in model.columns_to_types.items()} == {
        "order_id": "BIGINT", "amount": "DECIMAL(18, 2)", "_airbyte_extracted_at": "TIMESTAMPTZ",
    }  # fmt: skip


def test_the_model_does_not_change_with_its_files(files: list[str]) -> None:
    before = load().data_hash
    files.clear()
    assert load().data_hash == before


def test_what_is_no_typed_column_is_refused() -> None:
    with pytest.raises(Exception, match="name::type"):
        load(MODEL.replace("order_id::BIGINT, amount::DECIMAL(18, 2))", "order_id)")).render_query()


def test_rows_of_a_closed_day_that_land_late_are_released(lake: Any) -> None:
    late = dt.datetime.now(dt.UTC) - dt.timedelta(days=3)
    lake.land([(3, 1, 30)], at=late)
    assert "Released" in lake.run()
    assert [row[0] for row in lake.served("gold_shop.orders")] == [1, 2, 3]
