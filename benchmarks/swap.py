"""What queries and memory feel while a table is replaced whole: p99 of small queries, peak memory.

A table is replaced by other rows of the same number while four clients ask small uncached queries.
The reference is the same load at rest, before. Memory is that of the service's processes together:
what is their own (anonymous), and their share of mapped segments (clean pages of files, which the
system takes back when it needs them).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.clients.load import run_load
from benchmarks.clients.servers import post, running_server
from benchmarks.ratio import Ratio
from tests.beside import beside
from tests.conftest import free_port
from tests.query_service.cache.test_refresh_cost import DAYS, some_days
from tests.query_service.conftest import Lake, close_lake, make_lake

SMALL = "select count(*) as n, sum(total) as total from gold_test.small where id < 1000"
CLIENTS = 4


@dataclass
class Memory:
    """The most that was seen, in bytes: of the processes' own, and with what they map."""

    own: int = 0
    mapped: int = 0


def main(argv: list[str]) -> list[Ratio]:
    """Measure at rest, then while a table of ``--rows`` is replaced."""
    parser = argparse.ArgumentParser(prog="swap", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)  # our Postgres runs as a user of its own when we are root
        lake = make_lake(root / "lake")
        try:
            return _measure(lake, options.rows, options.seconds)
        finally:
            close_lake(lake)


def _measure(lake: Lake, rows: int, seconds: float) -> list[Ratio]:
    lake.duck.execute(
        "create table lake.gold_test.small as select range as id, range * 2 as total "
        "from range(100000)"
    )
    _replace(lake, rows)
    port = free_port()
    command = [sys.executable, "-m", "lavra", "serve", "--port", str(port)]
    environment = {"LAVRA_SERVICE_RESULT_CACHE_MB": "0"}
    url = f"http://127.0.0.1:{port}"
    asked = [post("/v1/sql", json.dumps({"sql": SMALL}), port)]
    with (
        running_server(command, lake.settings.project, f"{url}/readyz", environment),
        httpx.Client(base_url=url, timeout=600) as client,
    ):
        cache = sum(t["bytes"] for t in client.get("/v1/tables").json()["tables"])
        _read_all(client)
        with _watching(lake) as rest:
            run_load(port, asked, CLIENTS, 2)
            at_rest = run_load(port, asked, CLIENTS, seconds)
        before = _release_id(client)
        _replace(lake, rows)
        with _watching(lake) as swap:
            began = time.perf_counter()
            during = run_load(port, asked, CLIENTS, seconds)
            is_within = _release_id(client) == before
            while _release_id(client) == before:
                time.sleep(0.1)
            took = time.perf_counter() - began
            _read_all(client)
    within = "within" if is_within else "LONGER THAN"
    note = (
        f"{rows:,} rows replaced in {took:.1f} s; {CLIENTS} clients for {seconds:g} s, {within} "
        "that; result cache off"
    )
    own = max(swap.own - rest.own, 0)
    return [
        Ratio(
            f"small queries while a table is replaced, {what}", during.percentile(share),
            at_rest.percentile(share), "at rest", "ms", note=note,
        )
        for what, share in (("median", 0.5), ("p99", 0.99), ("slowest", 1.0))
    ] + [
        Ratio(
            "memory of the processes' own while a table is replaced", (cache + own) / 2**20,
            cache / 2**20, "the cache", "MiB", most=1.3,
            note=f"above what they have at rest ({rest.own >> 20} MiB), added to the cache",
        ),
        Ratio(
            "segments in memory while a table is replaced", swap.mapped / 2**20,
            cache / 2**20, "the cache", "MiB",
            note="old and new ones, mapped and resident: clean pages that can be taken back",
        ),
    ]  # fmt: skip


def _replace(lake: Lake, rows: int) -> None:
    lake.duck.execute(
        "create or replace table lake.gold_test.facts (id bigint, day date, name varchar, "
        "amount decimal(18, 2), v double)"
    )
    for first in range(0, DAYS, 10):
        lake.duck.execute(f"insert into lake.gold_test.facts {some_days(rows, first, first + 10)}")
    lake.release()


def _read_all(client: httpx.Client) -> None:
    sql = "select sum(id), max(day), max(name), sum(amount), sum(v) from gold_test.facts"
    for _ in range(4):  # the engines take turns
        client.post("/v1/sql", json={"sql": sql}).raise_for_status()


def _release_id(client: httpx.Client) -> str:
    return str(client.get("/v1/snapshot").json()["id"])


@contextmanager
def _watching(lake: Lake) -> Iterator[Memory]:
    """Look at the memory of the service's processes all the while."""
    peak = Memory()
    folder = str(lake.settings.state)

    def look() -> None:
        own, mapped = _memory(folder)
        peak.own, peak.mapped = max(peak.own, own), max(peak.mapped, mapped)

    with beside(look, every_s=0.1):
        yield peak


def _memory(folder: str) -> tuple[int, int]:
    """Return the anonymous bytes of our children, and their share of files below a folder."""
    own = mapped = 0
    for process in psutil.Process().children(recursive=True):
        try:
            line = " ".join(process.cmdline())
            if "lavra" not in line and "query_service" not in line:
                continue
            if "postgres" in process.name():
                continue
            for region in process.memory_maps(grouped=True):
                if region.path.endswith(".seg") and folder in region.path:
                    mapped += region.pss
            own += _anonymous(process.pid)
        except psutil.Error:
            continue
    return own, mapped


def _anonymous(pid: int) -> int:
    """Return a process's share of anonymous memory: what is shared since a fork counts once."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
