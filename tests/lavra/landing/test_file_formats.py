"""JSON lines and Parquet as sources, on this machine and in a bucket."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lavra.landing.connections import Connection
from lavra.settings import Settings
from lavra.storage import LakeStorage, open_storage
from tests.lavra.landing.conftest import Lander

UTC = dt.UTC


@pytest.fixture
def files(lander: Lander, tmp_path: Path) -> Path:
    lander.config = {"root": str(tmp_path)}
    return tmp_path


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_json_lines_get_types_from_every_value(lander: Lander, files: Path) -> None:
    lander.connector = "jsonl"
    write(
        files / "a.jsonl",
        {"id": 1, "price": 1, "day": "2026-01-02", "code": "007", "mixed": 1, "tags": ["x"]},
        {"id": -2, "price": 1.25, "day": None, "code": "8", "mixed": "one", "big": 2**70},
    )
    odd = 'it\'s "odd"'
    content = {"id": 3, "at": "2026-01-02T03:04:05-03:00", "is_new": True, odd: "ü\u0000"}
    (files / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    result = lander.land(path="*.jsonl*")
    assert (result.error, result.row_count, result.misfit_count) == (None, 3, 0)
    first, second, third = lander.landed().to_pylist()
    assert first["id"] == 1
    assert first["day"] == dt.date(2026, 1, 2)
    assert (first["price"], second["price"]) == (1.0, 1.25)
    assert (first["code"], first["tags"]) == ("007", '["x"]')
    assert (first["mixed"], second["mixed"], second["big"]) == ("1", '"one"', 2.0**70)
    assert third["at"] == dt.datetime(2026, 1, 2, 6, 4, 5, tzinfo=UTC)
    assert (third["is_new"], third[odd]) == (True, "ü\u0000")


def test_json_lines_keep_misfits_of_declared_types(lander: Lander, files: Path) -> None:
    lander.connector = "jsonl"
    write(files / "a.jsonl", {"id": 1, "price": "1.50"}, {"id": 2, "price": "much"})
    result = lander.land(path="a.jsonl", types={"price": "decimal(9,2)"})
    assert (result.error, result.misfit_count) == (None, 1)
    assert lander.rows("id", "price") == [(1, Decimal("1.50")), (2, None)]
    assert lander.land(path="a.jsonl", types={"price": "decimal(9,2)"}).row_count == 0  # the same


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n{"a": \n', "malformed"),
        ('{"a": 1}\n[1, 2]\n', "no JSON object: [1, 2]"),
        ("\n", "hold no object"),
        ('{"a": 1, "A": 2}\n', "a and A, which are one in SQL"),
    ],
)
def test_malformed_json_lines_are_named(
    lander: Lander, files: Path, content: str, said: str
) -> None:
    lander.connector = "jsonl"
    (files / "a.jsonl").write_text(content)
    result = lander.land(path="a.jsonl")
    assert said in (result.error or "")
    assert result.remedy


def test_parquet_keeps_its_types(lander: Lander, files: Path) -> None:
    lander.connector = "parquet"
    table = pa.table({
        "id": pa.array([1, 2], pa.uint64()), "small": pa.array([1, None], pa.int8()),
        "price": pa.array([Decimal("1.10"), None], pa.decimal128(9, 2)), "name": ["x", None],
        "at": pa.array([dt.datetime(2026, 1, 2, tzinfo=UTC)] * 2, pa.timestamp("ms", "UTC")),
        "local": pa.array([dt.datetime(2026, 1, 2)] * 2, pa.timestamp("ns")),
        "nested": [{"a": [1]}, None], "raw": [b"\x00", None], "text": ["7", "seven"],
    })  # fmt: skip
    pq.write_table(table, files / "a.parquet")
    pq.write_table(pa.table({"name": ["later"], "extra": [1.5]}), files / "b.parquet")
    result = lander.land(path="*.parquet", types={"text": "integer"})
    assert (result.error, result.row_count, result.misfit_count) == (None, 3, 1)
    first, second, third = lander.landed().to_pylist()
    assert (first["id"], first["small"], first["price"]) == (Decimal(1), 1, Decimal("1.10"))
    assert (first["at"], first["local"]) == (
        dt.datetime(2026, 1, 2, tzinfo=UTC), dt.datetime(2026, 1, 2),
    )  # fmt: skip
    assert (first["nested"], first["raw"], first["text"]) == ('{"a":[1]}', b"\x00", 7)
    assert (second["text"], second["_airbyte_meta"]["changes"][0]["field"]) == (None, "text")
    assert (third["name"], third["extra"], third["id"]) == ("later", 1.5, None)


def test_a_broken_parquet_file_says_so(lander: Lander, files: Path) -> None:
    lander.connector = "parquet"
    (files / "a.parquet").write_bytes(b"PAR1 or not")
    result = lander.land(path="a.parquet")
    assert "a.parquet" in (result.error or "")


@pytest.mark.parametrize("connector", ["csv", "jsonl", "parquet"])
def test_files_of_a_bucket_land_and_are_not_landed_twice(
    make_lander: Callable[[LakeStorage], Lander], gcs_settings: Settings, connector: str
) -> None:
    storage = open_storage(gcs_settings)
    for number in (1, 2):
        with storage.publish(f"incoming/part{number}.{connector}") as file:
            if connector == "csv":
                file.write(f"id\n{number}\n".encode())
            elif connector == "jsonl":
                file.write(json.dumps({"id": number}).encode())
            else:
                pq.write_table(pa.table({"id": [number]}), file)
    lander = make_lander(storage)
    lander.connector, lander.config = connector, {"root": f"{storage.url}/incoming"}
    lander.settings = gcs_settings
    assert lander.land(path="part*").error is None
    assert lander.rows("id") == [(1,), (2,)]
    assert lander.land(path="part*").row_count == 0
    with storage.publish(f"incoming/part3.{connector}") as file:
        pq.write_table(pa.table({"id": [3]}), file) if connector == "parquet" else file.write(
            b'{"id": 3}' if connector == "jsonl" else b"id\n3\n"
        )
    assert lander.land(path="part*").row_count == 3
    missing = lander.land(path="nothing*")
    assert "no file is called nothing* in gs://" in (missing.error or "")


def test_files_need_a_path_and_are_read_in_full() -> None:
    declared = {
        "name": "x", "description": "d", "owner": "o", "source": {"connector": "parquet"},
        "streams": [{"name": "things"}],
    }  # fmt: skip
    with pytest.raises(ValueError, match="needs a `path`, since the source is parquet"):
        Connection.model_validate(declared)
