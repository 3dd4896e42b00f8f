"""Every type in every format, over HTTP, from a table of the lake and from expressions."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from query_service.formats import MEDIA_TYPES
from tests.query_service.conftest import close_lake, make_lake, serving

ACCEPT = {name: media.split(";")[0] for name, media in MEDIA_TYPES.items()}

# name, the column in DuckDB's words, its JSON form, its value in Arrow
STORED: list[tuple[str, str, Any, Any]] = [
    ("small", "(-7)::tinyint", -7, -7),
    ("safe", "9007199254740991::bigint", 2**53 - 1, 2**53 - 1),
    ("big", "9007199254740993::bigint", "9007199254740993", 2**53 + 1),
    ("unsigned", "18446744073709551615::ubigint", "18446744073709551615", 2**64 - 1),
    ("money", "1.50::decimal(18, 2)", "1.50", Decimal("1.50")),
    ("wide", "0.0000000001::decimal(38, 10)", "0.0000000001", Decimal("0.0000000001")),
    ("real", "0.1::double", 0.1, 0.1),
    ("nan", "'nan'::double", "NaN", math.nan),
    ("inf", "'inf'::double", "Infinity", math.inf),
    ("minus_inf", "'-inf'::double", "-Infinity", -math.inf),
    ("yes", "true", True, True),
    ("text", "'a \"b\", é 🎈'", 'a "b", é 🎈', 'a "b", é 🎈'),
    ("nothing", "''", "", ""),
    ("bytes", "'\\x00\\xFF'::blob", "AP8=", b"\x00\xff"),
    ("day", "date '2024-02-29'", "2024-02-29", dt.date(2024, 2, 29)),
    ("clock", "time '01:02:03.5'", "01:02:03.500000", dt.time(1, 2, 3, 500_000)),
    (
        "local", "timestamp '2024-01-02 03:04:05.000006'", "2024-01-02T03:04:05.000006",
        dt.datetime(2024, 1, 2, 3, 4, 5, 6),
    ),
    (
        "zoned", "timestamptz '2024-01-02 00:04:05-03:00'", "2024-01-02T03:04:05.000000Z",
        dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    ),
    ("numbers", "[1, null, 9007199254740993]", [1, None, "9007199254740993"],
     [1, None, 2**53 + 1]),
    ("pair", "{'a': 1, 'b': 2.5::decimal(4, 1)}", {"a": 1, "b": "2.5"},
     {"a": 1, "b": Decimal("2.5")}),
    ("entries", "map {'k': 1}", [["k", 1]], [("k", 1)]),
    ("unknown", "null::integer", None, None),
]  # fmt: skip

# the same for what DuckLake has no columns of, in DataFusion's words
MADE: list[tuple[str, str, Any, Any]] = [
    ("span", "interval '14 months 3 days 1.5 seconds'", "P14M3DT1.5S",
     pa.MonthDayNano([14, 3, 1_500_000_000])),
    ("coded", "arrow_cast('x', 'Dictionary(Int8, Utf8)')", "x", "x"),
    ("lasting", "arrow_cast(1500000, 'Duration(Microsecond)')", "PT1.5S",
     dt.timedelta(seconds=1.5)),
]  # fmt: skip
COLUMNS = [*STORED, *MADE]
EVERYTHING = (
    f"select {', '.join(c[0] for c in STORED)}, {', '.join(f'{c[1]} as {c[0]}' for c in MADE)} "
    "from gold_test.every_type"
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    lake = make_lake(tmp_path_factory.mktemp("formats") / "lake")
    columns = ", ".join(f"{sql} as {name}" for name, sql, *_ in STORED)
    lake.duck.execute(f"create table lake.gold_test.every_type as select {columns}")
    lake.duck.execute("create table lake.gold_test.n as select range as id from range(2000)")
    lake.release()
    with serving(lake.settings) as opened:
        yield opened
    close_lake(lake)


def ask(
    client: httpx.Client, encoding: str, sql: str, *, method: str = "POST", **body: Any
) -> httpx.Response:
    headers = {"Accept": ACCEPT[encoding]}
    if method == "POST":
        response = client.post("/v1/sql", json={"sql": sql, **body}, headers=headers)
    else:
        response = client.get("/v1/sql", params={"query": sql, **body}, headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"].split(";")[0] == ACCEPT[encoding]
    return response


def read(encoding: str, content: bytes) -> pa.Table:
    if encoding == "arrow":
        return pa.ipc.open_stream(content).read_all()
    return pq.read_table(io.BytesIO(content))


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("encoding", ["json", "ndjson"])
def test_json_forms_of_every_type(client: httpx.Client, encoding: str, method: str) -> None:
    body = ask(client, encoding, EVERYTHING, method=method).json()
    expected = [form for _, _, form, _ in COLUMNS]
    if encoding == "json":
        assert [column["name"] for column in body["columns"]] == [c[0] for c in COLUMNS]
        assert body["rows"] == [expected]
    else:
        assert body == dict(zip([c[0] for c in COLUMNS], expected, strict=True))


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_csv_forms_of_every_type(client: httpx.Client, method: str) -> None:
    text = ask(client, "csv", EVERYTHING, method=method).text
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert header == [c[0] for c in COLUMNS]
    for (name, _, form, _), cell in zip(COLUMNS, row, strict=True):
        if isinstance(form, (dict, list)):
            assert json.loads(cell) == form, name
        elif isinstance(form, bool):
            assert cell == str(form).lower(), name
        else:
            assert cell == ("" if form is None else str(form)), name


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("encoding", ["arrow", "parquet"])
def test_values_of_every_type(client: httpx.Client, encoding: str, method: str) -> None:
    table = read(encoding, ask(client, encoding, EVERYTHING, method=method).content)
    (row,) = table.to_pylist()
    for name, _, form, value in COLUMNS:
        if name == "nan":
            assert math.isnan(row[name])
        elif name == "span" and encoding == "parquet":
            assert row[name] == form  # Parquet has no intervals
        else:
            assert row[name] == value, name
    assert table.schema.field("zoned").type.tz is not None
    assert table.schema.field("local").type.tz is None
    assert table.schema.field("money").type == pa.decimal128(18, 2)
    assert table.schema.field("text").type == pa.string()


@pytest.mark.parametrize("encoding", ACCEPT)
def test_no_rows_still_say_every_type(client: httpx.Client, encoding: str) -> None:
    full = ask(client, encoding, EVERYTHING)
    none = ask(client, encoding, f"{EVERYTHING} where small = 0")
    assert none.headers["X-Lavra-Row-Count"] == "0"
    if encoding == "json":
        assert none.json()["columns"] == full.json()["columns"]
        assert none.json()["rows"] == []
    elif encoding == "csv":
        assert none.text == full.text.splitlines(keepends=True)[0]
    elif encoding == "ndjson":
        assert none.content == b""
    else:
        assert read(encoding, none.content).schema == read(encoding, full.content).schema
        assert read(encoding, none.content).num_rows == 0


@pytest.mark.parametrize("encoding", ACCEPT)
@pytest.mark.parametrize(("limit", "rows", "truncated"), [(5, 5, True), (2000, 2000, False)])
def test_a_row_limit_truncates_and_says_so(
    client: httpx.Client, encoding: str, limit: int, rows: int, truncated: bool
) -> None:
    response = ask(client, encoding, "select id from gold_test.n order by id", row_limit=limit)
    said = json.dumps(truncated)
    assert response.headers["X-Lavra-Truncated"] == said
    assert response.headers["X-Lavra-Row-Count"] == str(rows)
    if encoding == "json":
        body = response.json()
        assert (len(body["rows"]), body["row_count"], body["truncated"]) == (rows, rows, truncated)
    elif encoding in {"csv", "ndjson"}:
        assert len(response.text.splitlines()) == rows + (encoding == "csv")
    else:
        table = read(encoding, response.content)
        assert table.column("id").to_pylist() == list(range(rows))
        if encoding == "parquet":
            metadata = pq.read_metadata(io.BytesIO(response.content)).metadata
            assert metadata[b"lavra.truncated"] == said.encode()


@pytest.mark.parametrize("encoding", ACCEPT)
def test_every_format_has_the_headers(client: httpx.Client, encoding: str) -> None:
    sql = f"select id, '{encoding}' as format from gold_test.n"
    first, again = ask(client, encoding, sql), ask(client, encoding, sql)
    release = client.get("/v1/snapshot").json()
    for response, outcome in ((first, "miss"), (again, "hit")):
        assert response.headers["X-Lavra-Cache"] == outcome
        assert response.headers["X-Lavra-Snapshot"] == release["id"]
        assert response.headers["X-Lavra-Data-Through"] == release["data_through"]
        assert {"Accept", "Accept-Encoding"} <= set(response.headers["Vary"].split(", "))
    assert first.headers["X-Lavra-Query-Id"] != again.headers["X-Lavra-Query-Id"]
    if encoding != "json":
        assert first.content == again.content


def test_a_client_that_reads_views_gets_views(client: httpx.Client) -> None:
    accept = f"{ACCEPT['arrow']}; string_view=true"
    body = {"sql": "select text from gold_test.every_type"}
    response = client.post("/v1/sql", json=body, headers={"Accept": accept})
    assert read("arrow", response.content).schema.field("text").type == pa.string_view()


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.9", "application/json"),
        ("text/csv, application/json", "text/csv"),
        ("application/json;q=0, text/csv;q=0.1", "text/csv"),
        ("text/html, application/x-ndjson", "application/x-ndjson"),
        ("text/html", "application/problem+json"),
    ],
)
def test_accept_chooses(client: httpx.Client, accept: str, expected: str) -> None:
    response = client.post("/v1/sql", json={"sql": "select 1 as a"}, headers={"Accept": accept})
    assert response.headers["Content-Type"].split(";")[0] == expected
    assert response.status_code == (422 if "problem" in expected else 200)


@pytest.mark.parametrize(
    ("accept", "packed"),
    [
        ("gzip", True),
        ("GZIP;q=0.3", True),
        ("br, gzip;q=0.8", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("identity, gzip;q=0.5", False),
        ("br", False),
        ("gzip;q=nonsense", False),
        ("xgzip", False),
    ],
)
@pytest.mark.parametrize("encoding", ["json", "ndjson", "csv"])
def test_accept_encoding_is_kept_to(
    client: httpx.Client, encoding: str, accept: str, packed: bool
) -> None:
    headers = {"Accept": ACCEPT[encoding], "Accept-Encoding": accept}
    body = {"sql": "select id from gold_test.n order by id"}
    response = client.post("/v1/sql", json=body, headers=headers)
    assert response.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert "1999" in response.text


@pytest.mark.parametrize("encoding", ["arrow", "parquet"])
def test_binary_formats_are_left_as_they_are(client: httpx.Client, encoding: str) -> None:
    headers = {"Accept": ACCEPT[encoding], "Accept-Encoding": "gzip"}
    response = client.post("/v1/sql", json={"sql": "select * from gold_test.n"}, headers=headers)
    assert "Content-Encoding" not in response.headers
    assert read(encoding, response.content).num_rows == 2000


@pytest.mark.parametrize("encoding", ACCEPT)
@pytest.mark.parametrize("statement", ["explain", "explain analyze", "explain verbose"])
def test_plans_are_answered(client: httpx.Client, encoding: str, statement: str) -> None:
    response = ask(client, encoding, f"{statement} select * from gold_test.n where id = 7")
    if encoding in {"arrow", "parquet"}:
        assert "id@0 = 7" in str(read(encoding, response.content).to_pylist())
    else:
        assert "id@0 = 7" in response.text
    assert response.headers["X-Lavra-Cache"] == "miss"


PARAMETERS: list[tuple[str, Any, list[Any]]] = [
    ("select $1 as a, $2 as b", [1, "x"], [1, "x"]),
    ("select $b as b, $a as a", {"a": 1, "b": "x"}, ["x", 1]),
    ("select $1 as a", [None], [None]),
    ("select $1 as a", [True], [True]),
    ("select $1 as a", [2.5], [2.5]),
    ("select $1 as a", [2**53 + 1], [str(2**53 + 1)]),
    ("select id from gold_test.n where id in ($1, $2) order by id limit 1", [7, 9], [7]),
    ("select $d as d", {"d": {"type": "date32", "value": "2024-02-29"}}, ["2024-02-29"]),
    ("select $d as d", {"d": {"type": "decimal128(9, 2)", "value": "1.5"}}, ["1.50"]),
    (
        "select $1 as t", [{"type": "timestamp[us, tz=UTC]", "value": "2024-01-02T03:04:05Z"}],
        ["2024-01-02T03:04:05.000000Z"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "parameters", "row"), PARAMETERS)
def test_parameters_by_position_and_by_name(
    client: httpx.Client, sql: str, parameters: Any, row: list[Any]
) -> None:
    posted = ask(client, "json", sql, parameters=parameters).json()
    asked = ask(client, "json", sql, method="GET", parameters=json.dumps(parameters)).json()
    assert posted["rows"] == asked["rows"] == [row]
