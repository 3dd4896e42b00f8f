"""TPC-H's 22 queries and ten of a dashboard: the service over HTTP against engines in-process.

Every engine holds the tables in its own memory and runs alone, one after the other: the service
(result cache off, Arrow over HTTP, so that each query is executed), DuckDB, DataFusion and chDB in
a process of their own, and ROAPI over HTTP. A figure is the best of the repetitions; engines are
compared by the geometric mean over the queries that both answer. ``--group bench`` of the lock has
the peers; one that is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clients.lean import LeanClient
from benchmarks.clients.load import run_load
from benchmarks.clients.servers import post, roapi_command, running_server
from benchmarks.data.tpch import DASHBOARD, TABLES, load_tpch, qualified, tpch_queries
from benchmarks.peers.in_process import best_times
from benchmarks.ratio import Ratio
from tests.conftest import free_port
from tests.query_service.conftest import Lake, close_lake, make_lake

SCHEMA = "gold_tpch"
ARROW = "application/vnd.apache.arrow.stream"
Times = dict[str, float | None]
_DUCKDB, _DATAFUSION, _CHDB, _ROAPI = "DuckDB", "DataFusion", "chDB", "ROAPI over HTTP"

_ENGINES = {_DUCKDB: "duckdb", _DATAFUSION: "datafusion", _CHDB: "chdb", _ROAPI: ""}
_MOST_TPCH = {_DUCKDB: 1.5}
_MOST_DASHBOARD = {_DUCKDB: 1.0, _CHDB: 1.0, _ROAPI: 1 / 3}


def main(argv: list[str]) -> list[Ratio]:
    """Measure and return a ratio for each peer, query set and number of clients."""
    parser = argparse.ArgumentParser(prog="serving", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="TPC-H's scale factor")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 16, 64])
    parser.add_argument("--peers", nargs="*", choices=list(_ENGINES), default=list(_ENGINES))
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # our Postgres runs as a user of its own when we are root
        lake = make_lake(folder / "lake")
        try:
            queries = _prepare(lake, folder, options.scale, options.repeat)
            ours, our_loads = _ours(lake, queries, options)
        finally:
            close_lake(lake)
        peers = {
            peer: _in_process(engine, folder)
            for peer, engine in _ENGINES.items()
            if engine and peer in options.peers
        }
        roapi_loads: dict[int, float] = {}
        if _ROAPI in options.peers:
            peers[_ROAPI], roapi_loads = _roapi(folder, queries, options)
    note = f"scale {options.scale:g}, geometric mean, result cache off"
    ratios = []
    for peer, times in peers.items():
        if times is None:
            continue
        for what, names, most in (
            ("22 TPC-H queries", sorted(set(ours) - set(DASHBOARD)), _MOST_TPCH.get(peer)),
            ("10 dashboard queries", list(DASHBOARD), _MOST_DASHBOARD.get(peer)),
        ):
            pairs = [(ours[name], times[name]) for name in names]
            ratios += _compare(what, peer, pairs, most=most, note=note)
    for clients, ms in our_loads.items():
        if clients in roapi_loads:
            ratios.append(
                Ratio(
                    f"10 dashboard queries, {clients} clients, time per request", ms,
                    roapi_loads[clients], _ROAPI, "ms",
                    note=f"scale {options.scale:g}, result cache off",
                )
            )  # fmt: skip
    return ratios


def _prepare(lake: Lake, folder: Path, scale: float, repeat: int) -> dict[str, str]:
    load_tpch(lake.duck, scale)
    queries = tpch_queries(lake.duck) | DASHBOARD
    lake.duck.execute(f"create schema lake.{SCHEMA}")
    for table in TABLES:
        lake.duck.execute(f"create table lake.{SCHEMA}.{table} as from memory.{table}")
        lake.duck.execute(f"copy memory.{table} to '{folder}/{table}.parquet' (format parquet)")
        lake.duck.execute(f"drop table memory.{table}")
    lake.release(tables=[(SCHEMA, table) for table in TABLES])
    document = {"queries": queries, "repeat": repeat}
    (folder / "queries.json").write_text(json.dumps(document))
    return queries


def _ours(
    lake: Lake, queries: dict[str, str], options: argparse.Namespace
) -> tuple[Times, dict[int, float]]:
    port = free_port()
    command = [sys.executable, "-m", "lavra", "serve", "--port", str(port)]
    environment = {"LAVRA_SERVICE_RESULT_CACHE_MB": "0"}
    ready = f"http://127.0.0.1:{port}/readyz"
    with running_server(command, lake.settings.project, ready, environment):
        asked = {
            name: json.dumps({"sql": qualified(sql, SCHEMA), "timeout_s": 300}).encode()
            for name, sql in queries.items()
        }
        with LeanClient("127.0.0.1", port) as client:
            times = best_times(
                lambda name: client.exchange(client.request("/v1/sql", asked[name], ARROW)),
                {name: name for name in queries},
                options.repeat,
            )
        if refused := [name for name, spent in times.items() if spent is None]:
            raise RuntimeError(f"the service did not answer {', '.join(refused)}")
        requests = [post("/v1/sql", asked[name].decode(), port) for name in DASHBOARD]
        return times, _loads(port, requests, options)


def _roapi(
    folder: Path, queries: dict[str, str], options: argparse.Namespace
) -> tuple[Times | None, dict[int, float]]:
    port = free_port()
    tables = [f"{table}={folder}/{table}.parquet" for table in TABLES]
    ready = f"http://127.0.0.1:{port}/api/schema"
    with running_server(roapi_command(port, tables), folder, ready):
        with LeanClient("127.0.0.1", port) as client:
            times = best_times(
                lambda sql: client.exchange(client.request("/api/sql", sql.encode(), ARROW)),
                queries,
                options.repeat,
            )
        requests = [post("/api/sql", sql, port) for sql in DASHBOARD.values()]
        return times, _loads(port, requests, options)


def _loads(port: int, requests: list[bytes], options: argparse.Namespace) -> dict[int, float]:
    return {
        clients: 1000 / run_load(port, requests, clients, options.seconds).rate
        for clients in options.clients
    }


def _in_process(engine: str, folder: Path) -> Times | None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.in_process", engine, str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"{engine} is left out: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    sys.stderr.write(done.stderr)
    times: Times = json.loads(done.stdout.splitlines()[-1])
    return times


def _compare(
    what: str,
    peer: str,
    pairs: list[tuple[float | None, float | None]],
    *,
    most: float | None,
    note: str,
) -> list[Ratio]:
    both = [(mine, other) for mine, other in pairs if mine is not None and other is not None]
    if not both:
        return []
    mine, other = (
        1000 * math.exp(statistics.mean(math.log(pair[side]) for pair in both)) for side in (0, 1)
    )
    answered = "" if len(both) == len(pairs) else f", {len(both)} of {len(pairs)} queries"
    return [Ratio(what, mine, other, peer, "ms", most=most, note=note + answered)]
