"""Many clients at once, some of them up to no good: no wrong answer, no 500, nothing kept."""

from __future__ import annotations

import contextlib
import io
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pytest

from query_service.engine.memory import anonymous_bytes
from tests.query_service.conftest import Lake, close_lake, make_lake, wait_until

ROWS = 20_000
ENGINES = 2
MIB = 1024 * 1024
EXPLODING = (
    "select count(*) from gold_test.t a, gold_test.t b, gold_test.t c where a.id + b.id + c.id < 0"
)
HEAVY = (
    "select count(*), sum(n) from (select row_number() over (partition by a.id % 7 order by "
    "a.name || b.name desc) as n from gold_test.t a, gold_test.t b where b.id < 100) where n < 3"
)
STREAM = "select a.id, b.id as other from gold_test.t a, gold_test.t b where b.id < 25"
BUSY = {"too_many_queries", "query_timeout"}
EXPECTED = {
    "plain": {"ok"},
    "repeated": {"ok"},
    "snapshot": {"ok"},
    "stream": {"ok"},
    "wrong": {"invalid_sql", "unknown_table", "statement_not_allowed"},
    "exploding": {"query_timeout"},
    "heavy": {"ok", "resources_exhausted"},
    "cancelled": {"query_cancelled"},
    "leaves": {"left"},
    "leaves a stream": {"left"},
}
WEIGHTS = [30, 20, 8, 6, 6, 8, 6, 6, 6, 4]


@dataclass
class Load:
    """What clients do, and what they see."""

    url: str
    version_of: dict[str, int] = field(default_factory=dict)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def one(self, number: int) -> None:
        kind = random.Random(number).choices(list(EXPECTED), WEIGHTS)[0]  # noqa: S311
        outcome = "?"
        try:
            with httpx.Client(base_url=self.url, timeout=180) as client:
                outcome = self.actions()[kind](client, number)
        except Exception as error:  # noqa: BLE001 - a client must never see any of them
            outcome = f"{type(error).__name__}: {error}"
        self.seen[kind, outcome] += 1
        if outcome not in EXPECTED[kind] | BUSY:
            self.wrong.append(f"{kind}: {outcome}")

    def actions(self) -> dict[str, Any]:
        return {
            "plain": self.plain, "repeated": self.repeated, "snapshot": self.snapshot,
            "stream": self.stream, "wrong": self.refused, "exploding": self.exploding,
            "heavy": self.heavy, "cancelled": self.cancelled, "leaves": self.leaves,
            "leaves a stream": self.leaves_a_stream,
        }  # fmt: skip

    def check(self, response: httpx.Response, rest: list[Any]) -> str:
        """Compare an answer that begins with rows and versions with what its release holds."""
        answer = response.json()
        if response.status_code != 200:
            return str(answer["code"])
        version = self.version_of[answer["snapshot"]["id"]]
        right = answer["rows"] == [[ROWS, version, version, *rest]]
        return "ok" if right else f"wrong rows {answer['snapshot']} {answer['rows']}"

    def plain(self, client: httpx.Client, number: int) -> str:
        sql = f"select count(*), min(version), max(version), {number} from gold_test.t"
        return self.check(client.post("/v1/sql", json={"sql": sql}), [number])

    def repeated(self, client: httpx.Client, number: int) -> str:
        sql = f"select count(*), min(version), max(version), {number % 3} from gold_test.t"
        return self.check(client.get("/v1/sql", params={"query": sql}), [number % 3])

    def snapshot(self, client: httpx.Client, number: int) -> str:
        """Name a release that was served a while ago."""
        named = sorted(self.version_of, key=int)[-3:][0]
        sql = f"select count(*), min(version), max(version), 's{number % 5}' from gold_test.t"
        response = client.post("/v1/sql", json={"sql": sql, "snapshot": named})
        if response.status_code == 200 and response.json()["snapshot"]["id"] != named:
            return "another snapshot"
        return self.check(response, [f"s{number % 5}"])

    def stream(self, client: httpx.Client, number: int) -> str:
        body = {"sql": f"{STREAM} and {number} = {number}"}
        headers = {"Accept": "application/vnd.apache.arrow.stream"}
        response = client.post("/v1/sql", json=body, headers=headers)
        if response.status_code != 200:
            return str(response.json()["code"])
        table = pa.ipc.open_stream(io.BytesIO(response.content)).read_all()
        total = sum(batch.column("id").sum().as_py() for batch in table.to_batches() if batch)
        right = (table.num_rows, total) == (ROWS * 25, sum(range(ROWS)) * 25)
        return "ok" if right else f"wrong stream: {table.num_rows} rows, {total}"

    def refused(self, client: httpx.Client, number: int) -> str:
        statements = ["selec", "select * from gold_test.nope", "drop table gold_test.t"]
        response = client.post("/v1/sql", json={"sql": statements[number % 3]})
        return str(response.json().get("code"))

    def exploding(self, client: httpx.Client, number: int) -> str:
        body = {"sql": f"{EXPLODING} - {number}", "timeout_s": 0.5}
        return str(client.post("/v1/sql", json=body).json().get("code", "answered"))

    def heavy(self, client: httpx.Client, number: int) -> str:
        answer = client.post("/v1/sql", json={"sql": f"{HEAVY} and {number} = {number}"}).json()
        if "code" in answer:
            return str(answer["code"])
        return "ok" if answer["rows"] == [[14, 21]] else f"wrong rows {answer['rows']}"

    def cancelled(self, client: httpx.Client, number: int) -> str:
        query_id = f"cancelled-{number}"
        with ThreadPoolExecutor(1) as thread:
            body = {"sql": f"{EXPLODING} - {number}", "timeout_s": 100}
            headers = {"X-Lavra-Query-Id": query_id}
            answer = thread.submit(client.post, "/v1/sql", json=body, headers=headers)
            with httpx.Client(base_url=self.url, timeout=180) as other:
                while not answer.done():
                    time.sleep(0.1)
                    other.delete(f"/v1/queries/{query_id}")
        return str(answer.result().json().get("code", "answered"))

    def leaves(self, client: httpx.Client, number: int) -> str:
        body = {"sql": f"{EXPLODING} - {number}", "timeout_s": 100}
        try:
            response = client.post("/v1/sql", json=body, timeout=0.3)
        except httpx.ReadTimeout:
            return "left"
        return str(response.json().get("code", "answered"))

    def leaves_a_stream(self, client: httpx.Client, number: int) -> str:
        sql = f"select a.id, b.id as other, {number} as n from gold_test.t a, gold_test.t b"
        headers = {"Accept": "text/csv"}
        with client.stream("POST", "/v1/sql", json={"sql": sql}, headers=headers) as response:
            if response.status_code != 200:
                response.read()
                return str(response.json()["code"])
            next(response.iter_raw())
        return "left"


@dataclass(frozen=True)
class Footprint:
    """What a service holds: bytes of private memory, mapped files, open files."""

    front: int
    engines: int
    cache: float
    descriptors: int

    @classmethod
    def of(cls, service: psutil.Process, client: httpx.Client) -> Footprint:
        """Look, once nothing runs and every engine is back."""
        wait_until(lambda: running(client) == 0, timeout_s=60)
        wait_until(lambda: len(engines(service)) == ENGINES + 1, timeout_s=60)
        wait_until(lambda: not spilled(service), timeout_s=30)
        line = next(
            line for line in client.get("/metrics").text.splitlines()
            if line.startswith("lavra_cache_bytes ")
        )  # fmt: skip
        return cls(
            anonymous_bytes(service.pid),
            max(anonymous_bytes(engine.pid) for engine in engines(service)),
            float(line.split()[1]),
            service.num_fds(),
        )


def running(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    names = ("lavra_queries_running ", "lavra_queries_waiting ")
    return sum(float(line.split()[1]) for line in lines if line.startswith(names))


def engines(service: psutil.Process) -> list[psutil.Process]:
    return [engine for zygote in service.children() for engine in zygote.children()]


def spilled(service: psutil.Process) -> list[str]:
    """Files of a spill that engines still hold open."""
    found = []
    for engine in engines(service):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [file.path for file in engine.open_files() if "spill" in file.path]
    return found


@contextlib.contextmanager
def service_of(lake: Lake) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """Run `lavra serve` in a process of its own, so that its memory can be looked at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "LAVRA_SERVICE_ENGINES": str(ENGINES),
        "LAVRA_SERVICE_QUERY_MEMORY_MB": "16",
        "LAVRA_SERVICE_RESULT_CACHE_MB": "8",
        "LAVRA_LOG_LEVEL": "warning",
        "LAVRA_SERVICE_ALLOW_LOOPBACK": "true",
    }
    command = [sys.executable, "-m", "lavra", "serve", "--port", str(port)]
    process = subprocess.Popen(command, cwd=lake.settings.project, env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=180) as client:

            def ready() -> bool:
                assert process.poll() is None
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/readyz").status_code == 200
                return False

            wait_until(ready, timeout_s=90)
            yield psutil.Process(process.pid), client
            assert process.poll() is None, "the service ended"
    finally:
        process.terminate()
        process.wait(timeout=60)


def release_every_second(lake: Lake, load: Load, url: str, stop: threading.Event) -> list[float]:
    """Change every row, release, refresh, every second whatever the last refresh does.

    Returns:
        The seconds between releases.
    """
    began: list[float] = []
    with httpx.Client(base_url=url, timeout=180) as client, ThreadPoolExecutor(4) as threads:
        refreshes = []
        due = time.monotonic()
        while not stop.wait(max(due - time.monotonic(), 0.05)):
            due = max(due + 1.0, time.monotonic())
            began.append(time.monotonic())
            version = max(load.version_of.values()) + 1
            lake.duck.execute(f"update lake.gold_test.t set version = {version}")
            # The id must be known before the service can answer with it.
            load.version_of[str(max(map(int, load.version_of)) + 1)] = version
            lake.release()
            refreshes.append(threads.submit(client.post, "/v1/refresh"))
        assert {refresh.result().status_code for refresh in refreshes} <= {200}
    return [later - earlier for earlier, later in pairwise(began)]


@pytest.mark.parametrize(
    ("clients", "queries"), [(12, 24), pytest.param(64, 1000, marks=pytest.mark.soak)]
)
@pytest.mark.timeout(1200)
def test_mixed_load(tmp_path: Path, clients: int, queries: int) -> None:
    lake = make_lake(tmp_path / "lake")
    lake.duck.execute(
        "create table lake.gold_test.t as select range as id, 0 as version, "
        f"'name ' || range as name from range({ROWS})"
    )
    first = str(lake.release())
    stop = threading.Event()
    try:
        with service_of(lake) as (service, client):
            load = Load(str(client.base_url), {first: 0})
            born = service.create_time()
            for number in range(10):  # what is only ever allocated once
                load.one(10_000 + number)
            before = Footprint.of(service, client)
            with ThreadPoolExecutor(clients + 1) as threads:
                releasing = threads.submit(release_every_second, lake, load, load.url, stop)
                try:
                    for done in [threads.submit(load.one, number) for number in range(queries)]:
                        done.result()
                finally:
                    stop.set()
                between = releasing.result()
            after = Footprint.of(service, client)
            print(f"{queries} queries, {len(load.version_of)} releases: {dict(load.seen)}")
            print(f"seconds between releases: median {statistics.median(between or [0]):.1f}")
            print(f"before {before}\nafter  {after}")
            assert not load.wrong
            assert service.create_time() == born
            assert 'outcome="internal"' not in client.get("/metrics").text
            assert after.front <= before.front + 64 * MIB
            assert after.engines <= before.engines + 64 * MIB
            assert after.cache <= before.cache * 8  # the current release and those retained
            assert after.descriptors <= before.descriptors + 16
            assert load.plain(client, 0) == "ok"
    finally:
        close_lake(lake)
