"""Landing what an Airbyte connector writes, against dlt with the same records.

The connector is a process that copies a prepared file to its standard output: its own time is as
good as none. Ours is all of the rest: protocol, types, Parquet, and the commit in the catalog.
dlt parses the same lines and writes Parquet too, in an environment of its own
(``peers/dlt.txt``).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psycopg

from benchmarks.landing import seconds
from benchmarks.ratio import Ratio
from lavra.catalog import Catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.catalog.migrations import migrate
from lavra.environments import LockedEnvironment, folder_of
from lavra.landing.connections import Connection
from lavra.landing.run import run_connection
from lavra.settings import Settings
from lavra.storage import LakeStorage

AIM_PER_SECOND = 100_000
_PEERS = Path(__file__).parent / "peers"
_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_COLUMNS = {
    "id": {"type": "integer"}, "created_at": _TIME, "updated_at": _TIME, "name": _TEXT,
    "title": _TEXT, "age": {"type": "integer"}, "email": _TEXT, "telephone": _TEXT,
    "gender": _TEXT, "language": _TEXT, "academic_degree": _TEXT, "nationality": _TEXT,
    "occupation": _TEXT, "height": {"type": "number"}, "blood_type": _TEXT,
    "weight": {"type": "integer"}, "address": {"type": "object"},
}  # fmt: skip
_WORDS = ("amber", "basalt", "cobalt", "dolomite", "emerald", "feldspar", "garnet", "hematite",
          "iolite", "jasper", "kyanite", "lapis")  # fmt: skip

_REPLAY = """
import json, shutil, sys
verb, folder = sys.argv[2], sys.argv[1]
if verb == "spec":
    print('{"type":"SPEC","spec":{"connectionSpecification":{}}}')
else:
    with open(f"{folder}/{verb}.jsonl", "rb") as file:
        shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
"""


def main(argv: Sequence[str]) -> list[Ratio]:
    """Time both, in turns, and compare the medians."""
    parser = argparse.ArgumentParser(prog="connector_landing")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-dlt", action="store_true", help="leave dlt out")
    options = parser.parse_args(list(argv))
    with tempfile.TemporaryDirectory(prefix="lavra-bench-") as folder:
        root = Path(folder)
        size = _write_lines(root, options.rows)
        server = LocalPostgres(root / "postgres")
        server.start()
        try:
            return _compare(root, server.url(), options, size)
        finally:
            server.leave()


def _compare(root: Path, url: str, options: argparse.Namespace, size: int) -> list[Ratio]:
    with psycopg.connect(url) as connection:
        migrate(connection)
    environment = None if options.no_dlt else _dlt()
    ours, theirs, worked, they_worked = [], [], [], []
    for number in range(options.rounds + 1):  # the first round warms up
        before = _processor_seconds()
        time = seconds(lambda: _land(root, url, options.rows))
        if number == 0:
            continue
        ours.append(time)
        worked.append(_processor_seconds() - before)
        if environment:
            before = _processor_seconds()
            theirs.append(_dlt_seconds(environment, root, number))
            they_worked.append(_processor_seconds() - before)
    took = statistics.median(ours)
    limit = options.rows / AIM_PER_SECOND
    name = f"land {options.rows:,} records of a connector"
    note = (
        f"{options.rows / took:,.0f} records/s of {size / options.rows:,.0f} bytes, "
        f"median of {options.rounds} rounds in turns, "
        f"{1e6 * statistics.median(worked) / options.rows:.1f} µs of processor each"
    )
    found = [Ratio(name, took, limit, "100,000 records/s", most=1.0, note=note)]
    if theirs:
        cost = 1e6 * statistics.median(they_worked) / options.rows
        note = f"{options.rows / statistics.median(theirs):,.0f} records/s by dlt, {cost:.1f} µs"
        found.append(Ratio(name, took, statistics.median(theirs), "dlt", note=note))
    return found


def _processor_seconds() -> float:
    """Return what this process and those it waited for have computed: load leaves it as it is."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _land(root: Path, url: str, rows: int) -> None:
    connection = Connection.model_validate({
        "name": "bench", "description": "d", "owner": "o", "streams": [{"name": "users"}],
        "source": {
            "connector": "replay", "config": {},
            "command": [sys.executable, "-c", _REPLAY, str(root)],
        },
    })  # fmt: skip
    settings = Settings(project=root, state_dir=root / "state")
    storage = LakeStorage(f"file://{root / 'lake'}", {})
    [result] = run_connection(settings, Catalog(url), storage, connection, full_refresh=True)
    if result.error or result.row_count != rows or result.misfit_count:
        msg = f"landed {result.row_count} of {rows}: {result.error}"
        raise RuntimeError(msg)


def _dlt() -> LockedEnvironment:
    lock = _PEERS / "dlt.txt"
    environment = LockedEnvironment("dlt", lock, folder_of("dlt", lock, None), "ingestion")
    environment.ensure()
    return environment


def _dlt_seconds(environment: LockedEnvironment, root: Path, number: int) -> float:
    done = subprocess.run(
        [environment.python, _PEERS / "dlt_load.py", root / "read.jsonl", root / f"dlt{number}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def _write_lines(folder: Path, rows: int) -> int:
    """Write the connector's answers; return the bytes of its records."""
    stream = {
        "name": "users", "json_schema": {"properties": _COLUMNS},
        "supported_sync_modes": ["full_refresh", "incremental"],
    }  # fmt: skip
    catalog = {"type": "CATALOG", "catalog": {"streams": [stream]}}
    (folder / "discover.jsonl").write_text(json.dumps(catalog) + "\n")
    rng = random.Random(1)  # noqa: S311 - made-up people
    size = 0
    with (folder / "read.jsonl").open("w") as file:
        for number in range(1, rows + 1):
            record = {"stream": "users", "data": _user(number, rng), "emitted_at": 1}
            line = json.dumps({"type": "RECORD", "record": record}, separators=(",", ":"))
            size += file.write(line + "\n")
            if number % 1_000 == 0:
                state = {"stream_descriptor": {"name": "users"}, "stream_state": {"id": number}}
                message = {"type": "STATE", "state": {"type": "STREAM", "stream": state}}
                file.write(json.dumps(message) + "\n")
        status = {"stream_descriptor": {"name": "users"}, "status": "COMPLETE"}
        trace = {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}
        file.write(json.dumps({"type": "TRACE", "trace": trace}) + "\n")
    return size


def _user(number: int, rng: random.Random) -> dict[str, object]:
    pick = rng.choice
    day = f"20{rng.randrange(10, 26)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    return {
        "id": number, "created_at": f"{day}T11:{number % 60:02}:10+00:00",
        "updated_at": "2026-11-21T09:38:13+00:00", "name": pick(_WORDS).title(), "title": "Mrs.",
        "age": rng.randrange(16, 70), "email": f"{pick(_WORDS)}{number}+1@example.com",
        "telephone": f"1-688-{rng.randrange(1000)}-{rng.randrange(10000)}", "gender": "Other",
        "language": pick(_WORDS), "academic_degree": "Master", "nationality": pick(_WORDS),
        "occupation": f"{pick(_WORDS)} {pick(_WORDS)}", "height": rng.randrange(150, 200) / 100,
        "blood_type": "AB+", "weight": rng.randrange(45, 110),
        "address": {
            "street_number": str(number % 997), "street_name": pick(_WORDS),
            "city": f"{pick(_WORDS)} city", "state": pick(_WORDS), "province": pick(_WORDS),
            "postal_code": f"{number % 99991:05}", "country_code": "BR",
        },
    }  # fmt: skip


if __name__ == "__main__":
    for ratio in main(sys.argv[1:]):
        print(ratio)
