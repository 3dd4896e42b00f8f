"""Measures a stream: initial load against a COPY of the same table, changes a second, freshness.

Run with ``python -m benchmarks.streams``; everything is on this machine, source included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from lavra.catalog import open_catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.settings import load_settings
from lavra.storage import open_storage
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.postgres.source import PostgresStreamSource
from lavra.streams.runner import StreamRunner

_TABLE = """
create table orders (id bigint primary key, customer int, status text, amount numeric(12,2),
                     city text, note text, created timestamptz, updated timestamptz)
"""
_ROWS = """
insert into orders select g, g % 5000, 'placed', (g % 100000) / 100.0, 'city ' || g % 300,
    'a note of some length ' || g, now(), now() from generate_series({}, {}) g
"""


class Measured:
    """What the runner says of its commits."""

    def __init__(self) -> None:
        self.rows = 0
        self.lags: list[float] = []
        self.commits: list[float] = []

    def observe(self, batch: Any, landing: Any, seconds: float) -> None:  # noqa: ARG002
        """Note a commit."""
        self.rows += batch.rows
        self.commits.append(seconds)
        if batch.first_commit:
            self.lags.append(time.time() - batch.first_commit)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="rows of the initial load")
    parser.add_argument("--rate", type=int, default=25_000, help="changes a second to write")
    parser.add_argument("--seconds", type=float, default=60, help="how long to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder) / "project", options)


def _measure(root: Path, options: argparse.Namespace) -> None:
    root.mkdir()
    root.parent.chmod(0o755)
    (root / "lavra.toml").write_text('name = "bench"\n')
    settings = load_settings(root)
    source = LocalPostgres(root / "source", {"wal_level": "logical", "max_wal_size": "4GB"})
    source.start()
    with psycopg.connect(source.url(), autocommit=True) as connection:
        connection.execute(_TABLE)
        connection.execute(_ROWS.format(1, options.rows))
        started = time.monotonic()
        with connection.cursor().copy("copy orders to stdout") as copy:
            for _ in copy:
                pass
        copied = time.monotonic() - started
    declaration = StreamDeclaration.model_validate(
        {"name": "bench", "description": "-", "owner": "-", "source": {"connector": "postgres"},
         "tables": ["public.orders"]}
    )  # fmt: skip
    measured = Measured()
    catalog = open_catalog(settings)
    runner = StreamRunner(
        catalog, open_storage(settings), declaration,
        lambda: PostgresStreamSource(declaration, source.url(), "bench"), observe=measured.observe,
    )  # fmt: skip
    stopping = threading.Event()
    started = time.monotonic()
    runner.run(stopping, once=True)
    loaded = time.monotonic() - started
    print(f"load of {options.rows:,} rows: {loaded:.2f} s; COPY alone {copied:.2f} s; "
          f"{loaded / copied:.1f} times")  # fmt: skip
    measured.rows, measured.lags, measured.commits = 0, [], []
    thread = threading.Thread(target=runner.run, args=(stopping,))
    thread.start()
    written, began = 0, time.monotonic()
    with psycopg.connect(source.url(), autocommit=True) as connection:
        while (elapsed := time.monotonic() - began) < options.seconds:
            if written < elapsed * options.rate:
                first = options.rows + 1 + written // 2
                # Half inserts, half updates, in transactions of 500 changes.
                connection.execute(_ROWS.format(first, first + 249))
                connection.execute(
                    "update orders set status = 'paid', updated = now() "
                    "where id between %s and %s", (first - 250, first - 1),
                )  # fmt: skip
                written += 500
            else:
                time.sleep(0.01)
    wrote = time.monotonic() - began
    changes = written  # each statement changes 250 rows
    while measured.rows < changes and time.monotonic() - began < options.seconds * 4:
        time.sleep(0.05)
    caught_up = time.monotonic() - began
    stopping.set()
    thread.join()
    lags = sorted(measured.lags)
    print(f"{changes:,} changes written in {wrote:.1f} s ({changes / wrote:,.0f}/s), "
          f"landed {measured.rows:,} in {caught_up:.1f} s: {measured.rows / caught_up:,.0f}/s")  # fmt: skip  # noqa: E501
    print(f"oldest change of a batch to its commit: p50 {statistics.median(lags):.2f} s, p95 "
          f"{lags[int(len(lags) * 0.95)]:.2f} s; commit p50 "
          f"{statistics.median(measured.commits):.3f} s")  # fmt: skip
    source.leave()
    if catalog.server:
        catalog.server.leave()


if __name__ == "__main__":
    main()
