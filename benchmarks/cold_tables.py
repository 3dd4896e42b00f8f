"""TPC-H's 22 queries over tables that are not held in memory: ten times the size of ``serving``.

The service scans the lake's Parquet files where they lie, over HTTP as Arrow, with its result cache
off. DuckDB and DataFusion scan the same files in a process of their own. One engine at a time; the
files are in the system's page cache as far as they fit.
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

import httpx

from benchmarks.clients.servers import running_server
from benchmarks.data.tpch import TABLES, load_tpch, qualified, tpch_queries
from benchmarks.peers.in_process import best_times
from benchmarks.ratio import Ratio
from tests.conftest import free_port
from tests.query_service.conftest import Lake, close_lake, make_lake

SCHEMA = "gold_tpch"
ARROW = "application/vnd.apache.arrow.stream"
_PEERS = {"DuckDB": "duckdb-files", "DataFusion": "datafusion-files"}


def main(argv: list[str]) -> list[Ratio]:
    """Measure and return a ratio for each peer."""
    parser = argparse.ArgumentParser(prog="cold_tables", description=__doc__)
    parser.add_argument("--scale", type=float, default=10.0, help="TPC-H's scale factor")
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # our Postgres runs as a user of its own when we are root
        lake = make_lake(folder / "lake")
        try:
            queries = _prepare(lake, folder, options.scale, options.repeat)
            ours = _ours(lake, queries, options.repeat)
        finally:
            close_lake(lake)
        peers = {peer: _in_process(engine, folder) for peer, engine in _PEERS.items()}
    for query, seconds in ours.items():
        spent = ", ".join(f"{peer} {times[query] or 0:.2f}" for peer, times in peers.items())
        print(f"{query}: {seconds:.2f} s; {spent}", file=sys.stderr)
    ratios = []
    for peer, times in peers.items():
        both = [(ours[query], spent) for query, spent in times.items() if spent]
        mine, other = (
            math.exp(statistics.mean(math.log(pair[side]) for pair in both)) for side in (0, 1)
        )
        note = (
            f"scale {options.scale:g}, geometric mean of {len(both)}, best of {options.repeat}; "
            f"all {len(ours)} took {sum(ours.values()):.1f} s, the slowest {max(ours.values()):.1f}"
        )
        ratios.append(Ratio("22 TPC-H queries over cold Parquet", mine, other, peer, note=note))
    return ratios


def _prepare(lake: Lake, folder: Path, scale: float, repeat: int) -> dict[str, str]:
    """Make the tables in the lake, a part at a time, so that memory does not hold them whole."""
    parts = max(1, round(scale))
    lake.duck.execute(f"create schema lake.{SCHEMA}")
    for part in range(parts):
        load_tpch(lake.duck, scale, part=part, parts=parts)
        for table in TABLES:
            verb = f"insert into lake.{SCHEMA}.{table}"
            if part == 0:
                verb = f"create table lake.{SCHEMA}.{table} as"
            lake.duck.execute(f"{verb} from memory.{table}")
            lake.duck.execute(f"drop table memory.{table}")
    queries = tpch_queries(lake.duck)
    lake.release(tables=[(SCHEMA, table) for table in TABLES])
    files = {
        table: [
            row[0]
            for row in lake.duck.execute(
                f"select data_file from ducklake_list_files('lake', '{table}', "
                f"schema => '{SCHEMA}')"
            ).fetchall()
        ]
        for table in TABLES
    }
    document = {"queries": queries, "repeat": repeat, "files": files}
    (folder / "queries.json").write_text(json.dumps(document))
    lake.duck.execute("set memory_limit = '1GB'")  # what the generator left makes room
    return queries


def _ours(lake: Lake, queries: dict[str, str], repeat: int) -> dict[str, float]:
    port = free_port()
    command = [sys.executable, "-m", "lavra", "serve", "--port", str(port)]
    environment = {
        "LAVRA_SERVICE_RESULT_CACHE_MB": "0",
        "LAVRA_SERVICE_COLD_TABLES": json.dumps([f"{SCHEMA}.*"]),
        "LAVRA_SERVICE_QUERY_MEMORY_MB": "6000",
    }
    with running_server(
        command, lake.settings.project, f"http://127.0.0.1:{port}/readyz", environment
    ):
        asked = {
            name: json.dumps({"sql": qualified(sql, SCHEMA), "timeout_s": 280}).encode()
            for name, sql in queries.items()
        }
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
            times = best_times(
                lambda name: _ask(client, asked[name]), {name: name for name in queries}, repeat
            )
    if refused := [name for name, spent in times.items() if spent is None]:
        raise RuntimeError(f"the service did not answer {', '.join(refused)}")
    return {name: spent for name, spent in times.items() if spent is not None}


def _ask(client: httpx.Client, body: bytes) -> None:
    headers = {"Accept": ARROW, "Content-Type": "application/json"}
    client.post("/v1/sql", content=body, headers=headers).raise_for_status()


def _in_process(engine: str, folder: Path) -> dict[str, float | None]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.in_process", engine, str(folder)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    sys.stderr.write(done.stderr)
    times: dict[str, float | None] = json.loads(done.stdout.splitlines()[-1])
    return times
