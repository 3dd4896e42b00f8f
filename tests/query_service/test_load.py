"""Many clients at once, some of them up to no good: no wrong answer, no 500, nothing kept."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.query_service.conftest import close_lake, make_lake, query, serving, wait_until

ROWS = 20_000
EXPLODING = (
    "select count(*) from gold_test.t a, gold_test.t b, gold_test.t c where a.id + b.id + c.id < 0"
)
HEAVY = "select max(a.name || b.name) from gold_test.t a join gold_test.t b on a.id = b.id"
EXPECTED = {
    "exploding": {"query_timeout", "too_many_queries"},
    "heavy": {"ok", "resources_exhausted", "too_many_queries", "query_timeout"},
    "plain": {"ok", "too_many_queries", "query_timeout"},
}


@pytest.mark.parametrize(
    ("clients", "queries"), [(12, 120), pytest.param(64, 1000, marks=pytest.mark.soak)]
)
@pytest.mark.timeout(900)
def test_mixed_load(tmp_path: Path, clients: int, queries: int) -> None:
    lake = make_lake(tmp_path / "lake", service_engines=2, service_query_memory_mb=16)
    lake.duck.execute(
        "create table lake.gold_test.t as select range as id, 0 as version, "
        f"'name ' || range as name from range({ROWS})"
    )
    version_of = {str(lake.release()): 0}
    wrong: list[str] = []

    def one(number: int) -> None:
        kind = random.Random(number).choice(["plain"] * 6 + ["exploding", "heavy", "leave"])  # noqa: S311
        with httpx.Client(base_url=url, timeout=120) as client:
            if kind == "leave":
                try:
                    client.post("/v1/sql", json={"sql": EXPLODING}, timeout=0.3)
                except httpx.ReadTimeout:
                    return
            sql = {"exploding": EXPLODING, "heavy": HEAVY}.get(
                kind, f"select count(*), min(version), max(version), {number % 20} from gold_test.t"
            )
            body = {"sql": sql, "timeout_s": 0.5 if kind == "exploding" else 60}
            response = client.post("/v1/sql", json=body)
            answer = response.json()
            outcome = answer.get("code", "ok")
            if outcome not in EXPECTED.get(kind, {outcome}):
                wrong.append(f"{kind}: {response.status_code} {response.text[:300]}")
            if kind == "plain" and outcome == "ok":
                version = version_of[answer["snapshot"]["id"]]
                if answer["rows"] != [[ROWS, version, version, number % 20]]:
                    wrong.append(f"{answer['snapshot']} {answer['rows']}")

    try:
        with serving(lake.settings) as client:
            url = str(client.base_url)
            with ThreadPoolExecutor(clients) as threads:
                work = [threads.submit(one, number) for number in range(queries)]
                for version in range(1, 4):
                    lake.duck.execute(f"update lake.gold_test.t set version = {version}")
                    version_of[str(max(map(int, version_of)) + 1)] = version
                    lake.release()
                    client.post("/v1/refresh")
                for done in work:
                    done.result()
            assert not wrong
            wait_until(lambda: "\nlavra_queries_running 0.0\n" in client.get("/metrics").text)
            assert query(client, "select count(*) from gold_test.t")["rows"] == [[ROWS]]
            assert 'outcome="internal"' not in client.get("/metrics").text
    finally:
        close_lake(lake)
