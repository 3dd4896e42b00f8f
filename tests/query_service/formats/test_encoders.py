"""Every type through every format: the documented JSON forms, and round trips of the others."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query_service.cache.segments import open_segment, servable_schema, write_segment
from query_service.formats import ENCODINGS, encoder_for
from query_service.formats.few_rows import FEW

JSON_FORMS: list[tuple[pa.DataType, Any, Any]] = [
    (pa.int8(), -128, -128),
    (pa.int64(), 2**53 - 1, 2**53 - 1),
    (pa.int64(), 2**53, "9007199254740992"),
    (pa.int64(), -(2**63), "-9223372036854775808"),
    (pa.uint64(), 2**64 - 1, "18446744073709551615"),
    (pa.float64(), 0.1, 0.1),
    (pa.float64(), 1e300, 1e300),
    (pa.float32(), 0.5, 0.5),
    (pa.float64(), -0.0, -0.0),
    (pa.float64(), math.nan, "NaN"),
    (pa.float64(), math.inf, "Infinity"),
    (pa.float64(), -math.inf, "-Infinity"),
    (pa.bool_(), True, True),
    (pa.decimal128(18, 2), Decimal("1234.50"), "1234.50"),
    (pa.decimal128(38, 10), Decimal("0.0000000001"), "0.0000000001"),
    (pa.decimal128(38, 0), Decimal(10**37), str(10**37)),
    (pa.string(), 'quote " back \\ line \n é 🎈', 'quote " back \\ line \n é 🎈'),
    (pa.string_view(), "", ""),
    (pa.binary(), b"\x00\xff", "AP8="),
    (pa.date32(), dt.date(2024, 2, 29), "2024-02-29"),
    (pa.timestamp("us"), dt.datetime(2024, 1, 2, 3, 4, 5, 6), "2024-01-02T03:04:05.000006"),
    (pa.timestamp("s"), dt.datetime(2024, 1, 2), "2024-01-02T00:00:00"),
    (
        pa.timestamp("us", "America/Sao_Paulo"),
        dt.datetime(2024, 1, 2, 3, tzinfo=dt.UTC),
        "2024-01-02T03:00:00.000000Z",
    ),
    (pa.time64("us"), dt.time(1, 2, 3), "01:02:03.000000"),
    (pa.duration("us"), dt.timedelta(days=1, seconds=1.5), "PT86401.5S"),
    (pa.month_day_nano_interval(), (14, 3, 1_500_000_000), "P14M3DT1.5S"),
    (pa.month_day_nano_interval(), (0, 0, -1_000_000_000), "PT-1S"),
    (pa.list_(pa.int64()), [1, None, 2**60], [1, None, str(2**60)]),
    (pa.struct({"a": pa.int32(), "b": pa.decimal128(4, 1)}), {"a": 1, "b": Decimal("2.5")},
     {"a": 1, "b": "2.5"}),
    (pa.map_(pa.string(), pa.int32()), [("k", 1)], [["k", 1]]),
    (pa.dictionary(pa.int8(), pa.string()), "x", "x"),
    (pa.null(), None, None),
]  # fmt: skip


def whole(encoding: str, *batches: pa.RecordBatch) -> bytes:
    encoder = encoder_for(encoding, batches[0].schema)
    parts = [encoder.begin()]
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        parts += encoder.encode(batch)
    parts.append(encoder.end(rows, truncated=False))
    return b"".join(parts)


@pytest.mark.parametrize(("kind", "value", "form"), JSON_FORMS)
def test_json_forms(kind: pa.DataType, value: Any, form: Any) -> None:
    batch = pa.record_batch([pa.array([value, None], kind)], names=["c"])
    body = json.loads(b"{" + whole("json", batch) + b"}")
    assert body["rows"] == [[form], [None]]
    lines = whole("ndjson", batch).decode().splitlines()
    assert [json.loads(line)["c"] for line in lines] == [form, None]


@pytest.mark.parametrize(("kind", "value", "form"), JSON_FORMS)
def test_csv_holds_the_same_text(kind: pa.DataType, value: Any, form: Any) -> None:
    batch = pa.record_batch([pa.array([value], kind), pa.array([1])], names=["c", "d"])
    rows = list(csv.reader(io.StringIO(whole("csv", batch).decode(), newline="")))
    if isinstance(form, bool):
        expected = str(form).lower()
    elif isinstance(form, dict | list):
        assert json.loads(rows[1][0]) == form
        return
    elif isinstance(form, float):
        assert float(rows[1][0]) == form
        return
    else:
        expected = "" if form is None else str(form)
    assert rows[1] == [expected, "1"]


@pytest.mark.parametrize(("kind", "value", "form"), JSON_FORMS)
def test_arrow_and_parquet_keep_values(kind: pa.DataType, value: Any, form: Any) -> None:
    batch = pa.record_batch([pa.array([value, None], kind)], names=["c"])
    arrow = pa.ipc.open_stream(whole("arrow", batch)).read_all()
    parquet = pq.read_table(io.BytesIO(whole("parquet", batch)))
    for table in (arrow, parquet):
        got = table.column("c").to_pylist()
        assert got[1] is None
        if isinstance(value, float) and math.isnan(value):
            assert math.isnan(got[0])
        elif pa.types.is_interval(kind) and table is parquet:
            assert got[0] == form
        else:
            assert got[0] == pa.scalar(value, kind).as_py()
    assert parquet.schema.metadata is None or parquet.num_rows == 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_rows_still_say_their_columns(encoding: str) -> None:
    schema = pa.schema({"a": pa.int64(), "b": pa.string_view()})
    encoder = encoder_for(encoding, schema)
    data = encoder.begin() + encoder.end(0, truncated=False)
    if encoding == "json":
        assert [c["name"] for c in json.loads(b"{" + data + b"}")["columns"]] == ["a", "b"]
    elif encoding == "csv":
        assert data == b"a,b\r\n"
    elif encoding == "arrow":
        assert pa.ipc.open_stream(data).read_all().schema.names == ["a", "b"]
    elif encoding == "parquet":
        assert pq.read_table(io.BytesIO(data)).schema.names == ["a", "b"]
    else:
        assert data == b""


def test_slices_are_encoded_as_what_they_show() -> None:
    batch = pa.record_batch(
        {"i": pa.array(range(20_000)), "s": pa.array([f"é{i}" for i in range(20_000)])}
    ).slice(9_990, 9_000)
    body = json.loads(b"{" + whole("json", batch, batch.slice(5, 0)) + b"}")
    assert body["rows"] == [[i, f"é{i}"] for i in range(9_990, 18_990)]


def test_columns_of_one_name_stay_apart_in_ndjson() -> None:
    batch = pa.record_batch([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", "a_2"])
    assert len(json.loads(whole("ndjson", batch))) == 3


@pytest.mark.parametrize("encoding", ["json", "ndjson"])
@pytest.mark.parametrize(("kind", "value", "_form"), JSON_FORMS, ids=str)
def test_few_rows_are_the_same_text_as_many(
    kind: pa.DataType, value: Any, _form: Any, encoding: str
) -> None:
    def text(count: int) -> bytes:
        column = pa.array([value, None] * count, kind)
        batch = pa.record_batch([column, column], names=["a", "b"])
        return b"".join(encoder_for(encoding, batch.schema).encode(batch))

    separator = b"," if encoding == "json" else b""
    assert text(FEW) == separator.join([text(1)] * FEW)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT | st.none(), st.integers(-(2**63), 2**63 - 1) | st.none(),
                          st.floats() | st.none()), max_size=20))  # fmt: skip
def test_text_formats_round_trip(rows: list[tuple[str | None, int | None, float | None]]) -> None:
    texts, numbers, floats = zip(*rows, strict=True) if rows else ((), (), ())
    batch = pa.record_batch(
        [
            pa.array(texts, pa.string()).cast(pa.string_view()),
            pa.array(numbers, pa.int64()),
            pa.array(floats, pa.float64()),
        ],
        names=["t", "n", "f"],
    )
    got = json.loads(b"{" + whole("json", batch) + b"}")["rows"]
    assert [row[0] for row in got] == list(texts)
    assert [None if row[1] is None else int(row[1]) for row in got] == list(numbers)
    back = [None if row[2] is None else float(row[2]) for row in got]
    assert [str(f) for f in back] == [str(f) for f in floats]
    read = list(csv.reader(io.StringIO(whole("csv", batch).decode(), newline="")))[1:]
    assert [row[0] for row in read] == [t or "" for t in texts]


def test_segments_give_back_every_type(tmp_path: Any) -> None:
    columns = {
        f"c{i}": pa.array([value, None, value], kind)
        for i, (kind, value, _) in enumerate(JSON_FORMS)
    }
    nested = pa.list_(pa.struct({"t": pa.string(), "l": pa.list_(pa.decimal128(9, 2))}))
    columns["deep"] = pa.array([[{"t": "x" * 30, "l": [Decimal("1.10"), None]}], None, []], nested)
    columns["fixed"] = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2))
    table = pa.table(columns)
    table = pa.concat_tables([table, table.slice(1, 1)])
    schema = servable_schema(table.schema)
    path = tmp_path / "x.seg"
    assert write_segment(path, schema, table.to_batches()) == 4
    read, batches, _ = open_segment(path)
    assert read == schema
    for batch in batches:
        batch.validate(full=True)
        for column in batch.columns:
            for buffer in column.buffers():
                assert buffer is None or not buffer.size or buffer.address % 64 == 0
    assert str(pa.Table.from_batches(batches).to_pylist()) == str(table.to_pylist())


def test_a_cut_segment_is_no_segment(tmp_path: Any) -> None:
    table = pa.table({"a": [1, 2, 3]})
    path = tmp_path / "x.seg"
    write_segment(path, servable_schema(table.schema), table.to_batches())
    whole_file = path.read_bytes()
    for cut in (0, 5, len(whole_file) // 2, len(whole_file) - 1):
        path.write_bytes(whole_file[:cut])
        with pytest.raises(ValueError, match="segment"):
            open_segment(path)
