"""The contract of the HTTP routes, on a small release."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pyarrow as pa
import pytest

from tests.query_service.conftest import Lake, close_lake, make_lake, query, serving, wait_until


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    lake = make_lake(tmp_path_factory.mktemp("contract") / "lake")
    lake.duck.execute(
        "create table lake.gold_test.sales as select range::int as id, "
        "(range / 10)::decimal(18, 2) as amount, 'name ' || range as name from range(1000)"
    )
    lake.duck.execute("create table lake.gold_test.empty (id int, name varchar)")
    lake.release()
    with serving(lake.settings) as opened:
        yield opened
    close_lake(lake)


def test_json_answers_the_contract(client: httpx.Client) -> None:
    response = client.post(
        "/v1/sql", json={"sql": "select id, amount from gold_test.sales where id = 15"}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.pop("elapsed_ms") > 0
    assert body.pop("query_id") == response.headers["X-Lavra-Query-Id"]
    assert body.pop("snapshot")["data_through"] == "2026-01-02T00:00:00Z"
    assert body == {
        "columns": [
            {"name": "id", "type": "int32"},
            {"name": "amount", "type": "decimal128(18, 2)"},
        ],
        "rows": [[15, "1.50"]],
        "row_count": 1,
        "truncated": False,
        "cached": False,
    }
    assert response.headers["X-Lavra-Snapshot"] == client.get("/v1/snapshot").json()["id"]
    assert response.headers["X-Lavra-Data-Through"] == "2026-01-02T00:00:00Z"
    assert response.headers["X-Lavra-Cache"] == "miss"


def test_an_arrow_stream_holds_plain_types_and_says_that_it_is_whole(client: httpx.Client) -> None:
    response = client.post(
        "/v1/sql",
        json={"sql": "select * from gold_test.sales order by id"},
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    reader = pa.ipc.open_stream(response.content)
    assert reader.schema.field("name").type == pa.string()
    rows, metadata = 0, None
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            break
        rows += batch.num_rows
    assert rows == 1000
    assert dict(metadata) == {b"lavra.row_count": b"1000", b"lavra.truncated": b"false"}


def test_an_empty_result_still_has_its_schema(client: httpx.Client) -> None:
    for sql in ("select * from gold_test.empty", "select * from gold_test.sales where id < 0"):
        answer = query(client, sql)
        assert answer["rows"] == []
        assert answer["columns"][0]["name"] == "id"
        response = client.post(
            "/v1/sql", json={"sql": sql}, headers={"Accept": "application/vnd.apache.arrow.stream"}
        )
        table = pa.ipc.open_stream(io.BytesIO(response.content)).read_all()
        assert table.num_rows == 0
        assert table.schema.field("name").type == pa.string()


def test_row_limit_only_truncates(client: httpx.Client) -> None:
    sql = "select id from gold_test.sales order by id"
    cut = query(client, sql, row_limit=3)
    assert (cut["rows"], cut["row_count"], cut["truncated"]) == ([[0], [1], [2]], 3, True)
    whole = query(client, sql, row_limit=1000)
    assert (whole["row_count"], whole["truncated"]) == (1000, False)
    none = query(client, sql, row_limit=0)
    assert (none["rows"], none["truncated"]) == ([], True)


def test_parameters_are_bound(client: httpx.Client) -> None:
    by_position = query(
        client,
        "select id from gold_test.sales where id = $1 or name = $2",
        parameters=[1, "name 2"],
    )
    assert sorted(by_position["rows"]) == [[1], [2]]
    by_name = query(client, "select $it as it", parameters={"it": "'; drop table x; --"})
    assert by_name["rows"] == [["'; drop table x; --"]]


def test_tables_are_listed_and_described(client: httpx.Client) -> None:
    tables = client.get("/v1/tables").json()["tables"]
    assert [t["name"] for t in tables] == ["empty", "sales"]
    assert tables[1]["row_count"] == 1000
    sales = client.get("/v1/tables/gold_test/sales").json()
    assert sales["columns"][0] == {
        "name": "id", "type": "int32", "nullable": True, "description": "The key.",
    }  # fmt: skip
    assert (sales["grain"], sales["upstream"]) == (["id"], ["silver_test.sales"])
    assert client.get("/v1/tables/gold_test/nope").json()["code"] == "unknown_table"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"sql": "selec"}, 400, "invalid_sql"),
        ({"sql": "select nope from gold_test.sales"}, 400, "invalid_sql"),
        ({"sql": "select 1/0"}, 400, "invalid_sql"),
        ({"sql": "select sum(name) from gold_test.sales"}, 400, "invalid_sql"),
        ({"sql": "select * from gold_test.nope"}, 404, "unknown_table"),
        ({"sql": "create table x as select 1"}, 403, "statement_not_allowed"),
        ({"sql": "select 1", "environment": "nope"}, 404, "unknown_environment"),
        ({"sql": "select 1", "snapshot": 99}, 404, "unknown_snapshot"),
        ({"sql": "select $1"}, 422, "invalid_request"),
        ({"sql": ""}, 422, "invalid_request"),
        ({"sql": "select 1", "row_limit": -1}, 422, "invalid_request"),
        ({"sql": "select 1", "more": 1}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
    ],
)
def test_errors_have_one_shape(client: httpx.Client, body: object, status: int, code: str) -> None:
    response = client.post("/v1/sql", json=body)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "query_id", "retryable"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["query_id"] == response.headers["X-Lavra-Query-Id"]


def test_other_failures_have_the_same_shape(client: httpx.Client) -> None:
    for response in (client.get("/nope"), client.get("/v1/refresh"), client.post("/v1/sql")):
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code


def test_health(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_nothing_released_is_not_ready(lake: Lake) -> None:
    with serving(lake.settings, ready=False) as client:
        assert client.get("/healthz").status_code == 200
        response = client.get("/readyz")
        assert (response.status_code, response.json()["code"]) == (503, "not_ready")
        assert "Retry-After" in response.headers
        refused = client.post("/v1/sql", json={"sql": "select 1"})
        assert refused.json()["code"] == "not_ready"
        lake.duck.execute("create table lake.gold_test.t as select 1 as id")
        lake.release()
        wait_until(lambda: client.get("/readyz").status_code == 200, timeout_s=60)
