"""Every error code of the contract, reached for real over HTTP; access has its own tests."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from lavra.errors import QueryError
from tests.query_service.conftest import Lake, close_lake, make_lake, query, serving, wait_until

ENDLESS = (
    "select count(*) from gold_test.t a, gold_test.t b, gold_test.t c where a.id + b.id + c.id < 0"
)
HUNGRY = (
    "select count(*) from (select a.id, b.id as other, row_number() over (partition by a.id % 7 "
    "order by a.name || b.name desc) as n from gold_test.t a, gold_test.t b) where n < 3"
)
ELSEWHERE = {"unauthenticated", "forbidden", "not_ready"}
"""Codes of access, and of a service without a release (test_contract)."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = make_lake(
        tmp_path_factory.mktemp("errors") / "lake",
        service_engines=1, service_max_waiting=0, service_query_memory_mb=16,
    )  # fmt: skip
    made.duck.execute(
        "create table lake.gold_test.t as select range as id, "
        "repeat('name ', 40) || range as name from range(20000)"
    )
    made.release()
    yield made
    close_lake(made)


@pytest.fixture(scope="module")
def client(lake: Lake) -> Iterator[httpx.Client]:
    with serving(lake.settings) as opened:
        yield opened


class Background:
    """A query that runs until something ends it."""

    def __init__(self, client: httpx.Client, query_id: str) -> None:
        self.response: httpx.Response | None = None
        self._url, self._id = client.base_url, query_id
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        wait_until(
            lambda: any(
                shown["query_id"] == query_id and shown["stage"] == "execute"
                for shown in client.get("/v1/queries").json()["queries"]
            )
        )

    def _work(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            headers = {"X-Lavra-Query-Id": self._id}
            body = {"sql": ENDLESS, "timeout_s": 50}
            self.response = client.post("/v1/sql", json=body, headers=headers)

    def ended(self) -> httpx.Response:
        self._thread.join(timeout=60)
        assert self.response is not None
        return self.response


def post(client: httpx.Client, sql: str, **body: object) -> httpx.Response:
    return client.post("/v1/sql", json={"sql": sql, **body})


def crowded(client: httpx.Client) -> httpx.Response:
    running = Background(client, "crowding-query")
    refused = post(client, "select 'crowded' as it")
    client.delete("/v1/queries/crowding-query")
    assert running.ended().json()["code"] == "query_cancelled"
    return refused


def cancelled(client: httpx.Client) -> httpx.Response:
    running = Background(client, "cancelled-query")
    assert client.delete("/v1/queries/cancelled-query").json()["cancelled"] is True
    return running.ended()


def engine_ended(client: httpx.Client) -> httpx.Response:
    """End the engines from outside, in a way that says nothing of memory or of a wish."""
    running = Background(client, "orphaned-query")
    zygotes = [p for p in psutil.Process().children() if any("zygote" in c for c in p.cmdline())]
    for engine in [child for zygote in zygotes for child in zygote.children()]:
        engine.send_signal(signal.SIGTERM)
    return running.ended()


REACHED = {
    "invalid_sql": lambda c: post(c, "select nope from gold_test.t"),
    "statement_not_allowed": lambda c: post(c, "drop table gold_test.t"),
    "unknown_table": lambda c: post(c, "select * from gold_test.nope"),
    "unknown_snapshot": lambda c: post(c, "select 1", snapshot="99"),
    "unknown_environment": lambda c: post(c, "select 1", environment="nope"),
    "invalid_request": lambda c: post(c, "select 1", row_limit=-1),
    "too_many_queries": crowded,
    "query_timeout": lambda c: post(c, ENDLESS, timeout_s=0.3),
    "query_cancelled": cancelled,
    "resources_exhausted": lambda c: post(c, HUNGRY),
    "internal": engine_ended,
}
STATUS = {kind.code: kind.status for kind in QueryError.__subclasses__()} | {"internal": 500}


def test_every_code_is_reached() -> None:
    assert set(REACHED) | ELSEWHERE == {k.code for k in QueryError.__subclasses__()} | {"internal"}


@pytest.mark.parametrize("code", REACHED)
def test_a_code_has_its_shape_and_leaves_nothing_behind(client: httpx.Client, code: str) -> None:
    wait_until(lambda: "\nlavra_queries_running 0.0\n" in client.get("/metrics").text)
    response = REACHED[code](client)
    problem = response.json()
    assert (problem["code"], response.status_code) == (code, STATUS[code]), response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == response.status_code
    assert problem["type"] == f"urn:lavra:problem:{code}"
    assert problem["query_id"] == response.headers["X-Lavra-Query-Id"]
    assert problem["retryable"] is (code == "too_many_queries")
    assert ("Retry-After" in response.headers) is problem["retryable"]
    assert problem["title"]
    assert problem["detail"]
    began = time.monotonic()
    wait_until(lambda: post(client, f"select '{code}' as it").status_code == 200)
    assert time.monotonic() - began < 20
    assert query(client, "select count(*) from gold_test.t")["rows"] == [[20_000]]


@pytest.mark.parametrize("accept", ["text/csv", "application/vnd.apache.arrow.stream"])
def test_problems_are_json_in_every_format(client: httpx.Client, accept: str) -> None:
    for response in (
        client.post("/v1/sql", json={"sql": "selec"}, headers={"Accept": accept}),
        client.get("/v1/sql", params={"query": "selec"}, headers={"Accept": accept}),
    ):
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["code"] == "invalid_sql"
