"""Queries under way: kept answers, identical ones, cancelling, time limits, crowding."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lavra.access.keys import create_key
from tests.query_service.conftest import Lake, close_lake, make_lake, query, serving, wait_until

ENDLESS = (
    "select count(*) from gold_test.wide a, gold_test.wide b, gold_test.wide c "
    "where a.id + b.id + c.id < 0"
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = make_lake(
        tmp_path_factory.mktemp("queries") / "lake", service_engines=1, service_max_waiting=2
    )
    made.duck.execute("create table lake.gold_test.wide as select range as id from range(100000)")
    made.release()
    yield made
    close_lake(made)


@pytest.fixture(scope="module")
def client(lake: Lake) -> Iterator[httpx.Client]:
    with serving(lake.settings) as opened:
        yield opened


def in_background(client: httpx.Client, body: dict[str, object], **headers: str) -> list[object]:
    """Start a query in a thread; its response will be the list's only item."""
    answers: list[object] = []

    def work() -> None:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            answers.append(own.post("/v1/sql", json=body, headers=headers))

    threading.Thread(target=work, daemon=True).start()
    return answers


def running(client: httpx.Client) -> list[dict[str, object]]:
    shown = client.get("/v1/queries").json()["queries"]
    return [q for q in shown if q["state"] in {"running", "waiting"}]


def idle(client: httpx.Client) -> bool:
    return not running(client)


def test_a_repeated_query_is_answered_from_the_cache(client: httpx.Client) -> None:
    first = client.post("/v1/sql", json={"sql": "select max(id)  from gold_test.wide ;"})
    again = client.post("/v1/sql", json={"sql": "select max(id) from gold_test.wide"})
    assert first.headers["X-Lavra-Cache"] == "miss"
    assert again.headers["X-Lavra-Cache"] == "hit"
    assert (first.json()["cached"], again.json()["cached"]) == (False, True)
    assert first.json()["rows"] == again.json()["rows"] == [[99999]]
    assert first.json()["query_id"] != again.json()["query_id"]
    as_csv = client.post(
        "/v1/sql",
        json={"sql": "select max(id) from gold_test.wide"},
        headers={"Accept": "text/csv"},
    )
    assert as_csv.headers["X-Lavra-Cache"] == "miss"


def test_what_may_vary_is_never_kept(client: httpx.Client) -> None:
    for sql in ("select random()", "select now()", "explain select 1"):
        for _ in range(2):
            response = client.post("/v1/sql", json={"sql": sql})
            assert response.headers["X-Lavra-Cache"] == "miss"
    rows = [query(client, "select random()")["rows"] for _ in range(2)]
    assert rows[0] != rows[1]


def test_identical_queries_in_flight_run_once(client: httpx.Client) -> None:
    sql = "select sum(a.id % 7) from gold_test.wide a, (select 1 union all select 2) b"

    def ask(_: int) -> str:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            return own.post("/v1/sql", json={"sql": sql}).headers["X-Lavra-Cache"]

    with ThreadPoolExecutor(2) as threads:
        outcomes = sorted(threads.map(ask, range(6)))
    assert outcomes.count("miss") == 1


def test_get_answers_an_etag_and_304(client: httpx.Client, lake: Lake) -> None:
    url, params = "/v1/sql", {"query": "select min(id) from gold_test.wide where id > $1",
                              "parameters": "[5]"}  # fmt: skip
    first = client.get(url, params=params)
    assert first.status_code == 200, first.text
    assert first.json()["rows"] == [[6]]
    etag = first.headers["ETag"]
    again = client.get(url, params=params, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(url, params={**params, "parameters": "[6]"})
    assert other.headers["ETag"] != etag
    volatile = client.get(url, params={"query": "select now()"})
    assert "ETag" not in volatile.headers
    assert volatile.headers["Cache-Control"] == "no-store"
    lake.release()
    client.post("/v1/refresh")
    moved = client.get(url, params=params, headers={"If-None-Match": etag})
    assert moved.status_code == 200
    assert moved.headers["ETag"] != etag


def test_a_time_limit_ends_the_query(client: httpx.Client) -> None:
    began = time.monotonic()
    response = client.post("/v1/sql", json={"sql": ENDLESS, "timeout_s": 0.5})
    assert time.monotonic() - began < 30
    assert (response.status_code, response.json()["code"]) == (504, "query_timeout")
    assert query(client, "select count(*) from gold_test.wide")["rows"] == [[100000]]


def test_delete_cancels(client: httpx.Client) -> None:
    answers = in_background(client, {"sql": ENDLESS}, **{"X-Lavra-Query-Id": "my-own-query"})
    wait_until(lambda: [q["query_id"] for q in running(client)] == ["my-own-query"])
    time.sleep(0.2)
    assert client.delete("/v1/queries/my-own-query").json()["cancelled"] is True
    wait_until(lambda: answers)
    assert answers[0].json()["code"] == "query_cancelled"  # type: ignore[attr-defined]
    assert answers[0].status_code == 499  # type: ignore[attr-defined]
    assert client.delete("/v1/queries/my-own-query").json()["cancelled"] is False
    shown = client.get("/v1/queries").json()["queries"]
    assert next(q for q in shown if q["query_id"] == "my-own-query")["state"] == "cancelled"


def test_a_client_that_goes_away_ends_its_query(client: httpx.Client) -> None:
    with (
        httpx.Client(base_url=client.base_url, timeout=httpx.Timeout(30, read=0.5)) as hasty,
        pytest.raises(httpx.ReadTimeout),
    ):
        hasty.post("/v1/sql", json={"sql": ENDLESS})
    wait_until(lambda: idle(client), timeout_s=30)
    assert query(client, "select 1 as one")["rows"] == [[1]]


def test_a_client_that_leaves_a_stream_ends_its_query(client: httpx.Client) -> None:
    body = {"sql": "select a.id, b.id as other from gold_test.wide a, gold_test.wide b"}
    with (
        httpx.Client(base_url=client.base_url, timeout=30) as own,
        own.stream("POST", "/v1/sql", json=body, headers={"Accept": "text/csv"}) as response,
    ):
        parts = response.iter_bytes()  # held: dropping the generator closes the connection
        assert next(parts)
        assert not idle(client), client.get("/v1/queries").json()["queries"][:2]
    wait_until(lambda: idle(client), timeout_s=30)


def test_too_many_queries_are_refused_and_callers_take_turns(
    client: httpx.Client, lake: Lake
) -> None:
    slow = {"sql": ENDLESS, "timeout_s": 4}
    with lake.catalog.connect() as connection:
        _, key = create_key(connection, "greedy")
    greedy = {"Authorization": f"Bearer {key}"}
    wait_until(lambda: client.get("/v1/snapshot", headers=greedy).status_code == 200)
    answers = [in_background(client, slow, **greedy)]
    wait_until(lambda: len(running(client)) == 1)
    waiting = {"sql": ENDLESS + " or false", "timeout_s": 4}
    for number in range(2):
        answers.append(in_background(client, {**waiting, "row_limit": number}, **greedy))
        wait_until(lambda n=number: len(running(client)) == n + 2)
    refused = client.post("/v1/sql", json={"sql": "select 3"}, headers=greedy)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_queries")
    assert refused.headers["Retry-After"]
    modest = client.post("/v1/sql", json={"sql": "select 4 as n", "timeout_s": 30})
    assert modest.json()["rows"] == [[4]]
    wait_until(lambda: all(answers))
    codes = sorted(a[0].json()["code"] for a in answers)  # type: ignore[attr-defined]
    assert codes == ["query_timeout", "query_timeout", "too_many_queries"]


def test_text_is_compressed_when_asked(client: httpx.Client) -> None:
    body = {"sql": "select id from gold_test.wide order by id limit 5000"}
    plain = client.post("/v1/sql", json=body, headers={"Accept-Encoding": "identity"})
    packed = client.post("/v1/sql", json=body, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 2
    assert packed.json()["rows"] == plain.json()["rows"]


def test_metrics(client: httpx.Client) -> None:
    query(client, "select 'metrics' as it")
    text = client.get("/metrics").text
    assert 'lavra_queries_total{format="json",outcome="finished"}' in text
    assert 'lavra_table_bytes{environment="prod",table="gold_test.wide"}' in text
    for name in ("lavra_query_seconds_bucket", "lavra_queries_running", "lavra_refresh_seconds",
                 "lavra_snapshot_age_seconds", "lavra_data_age_seconds",
                 "lavra_result_cache_hits"):  # fmt: skip
        assert name in text


def test_a_stream_that_fails_midway_is_logged_and_drops_the_connection(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    sql = (
        "select a.id, 1 / (90000 - a.id) as x, repeat('x', 1000) as filler "
        "from gold_test.wide a cross join (values (1), (2)) as b (n) where a.id >= 10"
    )
    headers = {"X-Lavra-Query-Id": "fails-midway", "Accept": "text/csv"}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", "/v1/sql", json={"sql": sql}, headers=headers) as response,
    ):
        assert response.status_code == 200
        for _ in response.iter_bytes():
            pass
    wait_until(
        lambda: any(
            "fails-midway" in line.getMessage() and "the connection is dropped" in line.getMessage()
            for line in caplog.records
        )
    )
    assert query(client, "select 1 as one")["rows"] == [[1]]
    shown = client.get("/v1/queries").json()["queries"]
    assert [q["state"] for q in shown if q["query_id"] == "fails-midway"] == ["failed"]
