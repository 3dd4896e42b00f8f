"""A Gold query over HTTP against the same query in DataFusion in this process, in one run."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
from datafusion import SessionContext

from benchmarks.ratio import Ratio
from query_service.cache.segments import open_segment
from query_service.engine.session import memory_table
from tests.conftest import free_port
from tests.query_service.conftest import Lake, close_lake, make_lake

QUERIES = {
    "one row": "select count(*) as n from gold_test.daily",
    "30 days": "select day, revenue from gold_test.daily order by day desc limit 30",
    "revenue by channel": (
        "select channel, sum(revenue) as revenue from gold_test.daily group by channel"
    ),
}


def main(argv: list[str]) -> list[Ratio]:
    """Measure and return one ratio per query."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=300)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        lake = make_lake(Path(folder) / "lake")
        try:
            return _measure(lake, options.rows, options.repeat)
        finally:
            close_lake(lake)


def _measure(lake: Lake, rows: int, repeat: int) -> list[Ratio]:
    lake.duck.execute(
        "create table lake.gold_test.daily as select date '2020-01-01' + (range % 2000)::int "
        "as day, ['web', 'app', 'store'][range % 3 + 1] as channel, "
        f"(range % 977)::decimal(18, 2) as revenue from range({rows})"
    )
    lake.release()
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "lavra", "serve", "--port", str(port)],
        cwd=lake.settings.project,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait_ready(client)
            in_process = _in_process(lake)
            ratios = []
            for name, sql in QUERIES.items():
                ours, reference = _alternate(
                    partial(_over_http, client, sql),
                    partial(_collect, in_process, sql),
                    repeat,
                )
                ratios.append(
                    Ratio(
                        name=f"{name} over HTTP",
                        measured=ours,
                        reference=reference,
                        reference_name="DataFusion in-process",
                        unit="ms",
                        most_above=1.5,
                        note=f"medians of {repeat}, uncached, JSON, {rows:,} rows",
                    )
                )
            return ratios
    finally:
        server.terminate()
        server.wait(timeout=30)


def _over_http(client: httpx.Client, sql: str) -> None:
    # A limit that differs keeps the result cache out of the measurement.
    body = {"sql": sql, "row_limit": 1_000_000 + time.monotonic_ns() % 10**9}
    response = client.post("/v1/sql", json=body)
    response.raise_for_status()


def _collect(context: SessionContext, sql: str) -> None:
    context.sql(sql).collect()


def _in_process(lake: Lake) -> SessionContext:
    context = SessionContext()
    context.sql("create schema gold_test").collect()
    segments = sorted((lake.settings.state / "service" / "cache").glob("segments/*/*.seg"))
    opened = [open_segment(path) for path in segments]
    batches = [batch for _, held in opened for batch in held]
    table = memory_table(opened[0][0], batches, 2)
    context.catalog("datafusion").schema("gold_test").register_table("daily", table)
    return context


def _alternate(
    ours: Callable[[], object], reference: Callable[[], object], repeat: int
) -> tuple[float, float]:
    """Return both medians in milliseconds, the two taking turns so that noise hits both."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeat + 5):
        for position, run in enumerate((ours, reference)):
            began = time.perf_counter()
            run()
            if turn >= 5:
                times[position].append((time.perf_counter() - began) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def _wait_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.ConnectError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the service did not become ready")
        time.sleep(0.1)
