"""10 million rows as an Arrow stream over HTTP against an in-process collect of the same rows.

A collect of a scan hands out the table's own buffers and copies nothing, while a stream must copy
every byte through the kernel at least once. So each query is also held against its *floor*: the
same number of bytes from one process to another over a plain loopback socket, without a query.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from datafusion import SessionContext

from benchmarks.clients.servers import running_server
from benchmarks.clients.stream import post_for_arrow
from benchmarks.query_overhead import held_in_process
from benchmarks.ratio import Ratio
from tests.conftest import free_port
from tests.query_service.conftest import Lake, close_lake, make_lake

TABLE = "gold_test.daily"
QUERIES = {
    "a scan": f"select id, k, revenue from {TABLE}",
    "a filter": f"select id, k, revenue from {TABLE} where k <> 5",
    "an expression": f"select id, k * 2 as k, revenue * 2 as revenue from {TABLE}",
    "a sort": f"select id, k, revenue from {TABLE} order by k",
}
ARROW = "application/vnd.apache.arrow.stream; string_view=true"
MOST = 1 / 0.7
"""The aim: no less than 70% of an in-process collect's speed."""


def main(argv: list[str]) -> list[Ratio]:
    """Measure and return two ratios per query: to collect, and to the bytes alone."""
    parser = argparse.ArgumentParser(prog="arrow_stream", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # our Postgres runs as a user of its own when we are root
        lake = make_lake(folder / "lake")
        try:
            return _measure(lake, options.rows, options.repeat)
        finally:
            close_lake(lake)


def _measure(lake: Lake, rows: int, repeat: int) -> list[Ratio]:
    lake.duck.execute(
        f"create table lake.{TABLE} as select range as id, (range * 7919) % 1000003 as k, "
        f"(range % 977)::decimal(18, 2) as revenue from range({rows})"
    )
    lake.release()
    port = free_port()
    command = [sys.executable, "-m", "lavra", "serve", "--port", str(port)]
    ready = f"http://127.0.0.1:{port}/readyz"
    uncached = {"LAVRA_SERVICE_RESULT_CACHE_MB": "0"}
    with running_server(command, lake.settings.project, ready, uncached):
        in_process = held_in_process(lake, "daily")
        room = bytearray(rows * 40 + (1 << 20))
        ratios = []
        for name, sql in QUERIES.items():
            size = post_for_arrow(("127.0.0.1", port), _request(sql), room).nbytes
            streamed, collected, alone = _take_turns(
                [
                    partial(_stream, port, sql, room, rows),
                    partial(_collect, in_process, sql),
                    partial(send_bytes, size, room),
                ],
                repeat,
            )
            note = f"{rows:,} rows, {size / 1e6:,.0f} MB, median of {repeat}"
            ratios += [
                Ratio(f"{name} as an Arrow stream", streamed, collected, "collect in-process",
                      "ms", most=MOST, note=note),
                Ratio(f"{name} as an Arrow stream", streamed, alone, "the bytes alone, loopback",
                      "ms", note=note),
            ]  # fmt: skip
        return ratios


def _request(sql: str) -> bytes:
    body = json.dumps({"sql": sql, "timeout_s": 300}).encode()
    return (
        f"POST /v1/sql HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {ARROW}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _stream(port: int, sql: str, room: bytearray, rows: int) -> float:
    began = time.perf_counter()
    table = post_for_arrow(("127.0.0.1", port), _request(sql), room)
    if not rows - 10 * (rows // 1000 + 1) <= table.num_rows <= rows:
        raise RuntimeError(f"{table.num_rows} rows came of {rows}")
    return time.perf_counter() - began


def _collect(context: SessionContext, sql: str) -> float:
    began = time.perf_counter()
    context.sql(sql).collect()
    return time.perf_counter() - began


def send_bytes(size: int, room: bytearray) -> float:
    """Bring ``size`` bytes from another process here over a loopback socket; return its seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = subprocess.Popen(
            [sys.executable, "-S", "-c", _SENDER, str(listener.getsockname()[1]), str(size)]
        )
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"!")  # its start is not what is timed
            began = time.perf_counter()
            view, at = memoryview(room), 0
            while got := connection.recv_into(view[at:]):
                at += got
            spent = time.perf_counter() - began
        sender.wait()
    if at != size:
        raise RuntimeError(f"{at} bytes came of {size}")
    return spent


_SENDER = """
import socket, sys
block, size = memoryview(bytes(4 * 1024 * 1024)), int(sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.recv(1)
    while size:
        part = block[: min(size, len(block))]
        connection.sendall(part)
        size -= len(part)
"""


def _take_turns(runs: list[Callable[[], float]], repeat: int) -> list[float]:
    """Return the medians in milliseconds, all taking turns so that noise hits all."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeat):
        for spent, run in zip(times, runs, strict=True):
            spent.append(run() * 1000)
    return [statistics.median(spent) for spent in times]
