"""Gold queries over HTTP against the same queries in DataFusion in this process, in one run.

The client is a plain keep-alive socket (:mod:`benchmarks.clients.lean`), so that the server is
what is measured.
"""

from __future__ import annotations

import argparse
import os
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

from benchmarks.clients.lean import LeanClient
from benchmarks.data.daily import DAILY, create_daily
from benchmarks.ratio import Ratio
from query_service.cache.segments import open_segment
from query_service.engine.session import memory_table
from tests.conftest import free_port
from tests.query_service.conftest import Lake, close_lake, make_lake

QUERIES = {
    "one row": f"select count(*) as n from {DAILY}",
    "30 days": f"select day, revenue from {DAILY} order by day desc limit 30",
    "total": f"select sum(revenue) as revenue, count(*) as orders from {DAILY}",
    "by channel": f"select channel, sum(revenue) as revenue from {DAILY} group by channel",
    "by day of a month": (
        f"select day, sum(revenue) as revenue from {DAILY} "
        "where day >= date '2025-01-01' and day < date '2025-02-01' group by day order by day"
    ),
    "by month": (
        "select date_trunc('month', day) as month, sum(revenue) as revenue "
        f"from {DAILY} group by 1 order by 1"
    ),
    "one channel by year": (
        "select date_part('year', day) as year, sum(revenue) as revenue, count(*) as orders "
        f"from {DAILY} where channel = 'web' group by 1 order by 1"
    ),
    "top 10 days": (
        f"select day, sum(revenue) as revenue from {DAILY} group by day "
        "order by revenue desc, day limit 10"
    ),
    "largest orders": (
        f"select day, channel, revenue from {DAILY} where revenue > 900 "
        "order by revenue desc, day limit 20"
    ),
    "share of a channel": (
        "select channel, 100.0 * sum(revenue) / sum(sum(revenue)) over () as share "
        f"from {DAILY} group by channel order by share desc"
    ),
    "days with sales": f"select count(distinct day) as days from {DAILY} where revenue > 0",
}
"""A one-row answer, and ten as dashboards ask them."""


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
    create_daily(lake.duck, rows)
    lake.release()
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "lavra", "serve", "--port", str(port)],
        cwd=lake.settings.project,
        env={**os.environ, "LAVRA_SERVICE_ALLOW_LOOPBACK": "true"},
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as patient:
            _wait_ready(patient)
        with LeanClient("127.0.0.1", port) as client:
            in_process = held_in_process(lake, "daily")
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
                        most_above=1.0 if name == "one row" else None,
                        note=f"medians of {repeat}, uncached, JSON, {rows:,} rows",
                    )
                )
            return ratios
    finally:
        server.terminate()
        server.wait(timeout=30)


def _over_http(client: LeanClient, sql: str) -> None:
    # A limit that differs keeps the result cache out of the measurement.
    body = {"sql": sql, "row_limit": 1_000_000 + time.monotonic_ns() % 10**9}
    client.post_json("/v1/sql", body)


def _collect(context: SessionContext, sql: str) -> None:
    context.sql(sql).collect()


def held_in_process(lake: Lake, name: str) -> SessionContext:
    """Return a session of plain DataFusion over the segments of the lake's only table."""
    context = SessionContext()
    context.sql("create schema gold_test").collect()
    segments = sorted((lake.settings.state / "service" / "cache").glob("segments/*/*.seg"))
    opened = [open_segment(path) for path in segments]
    batches = [batch for segment in opened for batch in segment.batches]
    table = memory_table(opened[0].schema, batches, 2)
    context.catalog("datafusion").schema("gold_test").register_table(name, table)
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
