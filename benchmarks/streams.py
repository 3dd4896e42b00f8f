"""Streams: the load of a table against COPY, changes a second, and freshness.

``python -m benchmarks.streams --seconds 300 --plot docs/streams-freshness.svg`` is the long form.
Everything is on this machine: the source, who writes to it, the lake, and who reads it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from benchmarks.ratio import Ratio
from lavra.catalog import Catalog, open_catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.settings import load_settings
from lavra.storage import LakeStorage, open_storage
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.postgres.source import PostgresStreamSource
from lavra.streams.runner import StreamRunner

_TABLE = """
create table orders (id bigint primary key, customer int, status text, amount numeric(12,2),
                     city text, note text, created timestamptz, updated timestamptz);
create table probes (id bigint primary key)
"""
_ROWS = """
insert into orders select g, g % 5000, 'placed', (g % 100000) / 100.0, 'city ' || g % 300,
    'a note of some length ' || g, now(), now() from generate_series({}, {}) g
"""
AIM_A_SECOND = 20_000
_PROBE_S, _LOOK_S = 0.2, 0.03


class Bench:
    """A source, a lake, and the stream between them."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        root.parent.chmod(0o755)
        (root / "lavra.toml").write_text('name = "bench"\n')
        settings = load_settings(root)
        self.source = LocalPostgres(
            root / "source", {"wal_level": "logical", "max_wal_size": "4GB"}
        )
        self.source.start()
        self.catalog: Catalog = open_catalog(settings)
        self.storage: LakeStorage = open_storage(settings)
        declaration = StreamDeclaration.model_validate(
            {"name": "bench", "description": "-", "owner": "-",
             "source": {"connector": "postgres", "workload": "aviation"},
             "tables": ["public.orders", "public.probes"]}
        )  # fmt: skip
        self.runner = StreamRunner(
            self.catalog, self.storage, declaration,
            lambda: PostgresStreamSource(declaration, self.source.url(), "bench"),
            observe=self._observe,
        )  # fmt: skip
        self.rows, self.loaded_at, self.lags = 0, 0.0, list[float]()
        self._last = 0

    def close(self) -> None:
        """Stop the servers."""
        self.source.leave()
        if self.catalog.server:
            self.catalog.server.leave()

    def _observe(self, batch: Any, landing: Any, seconds: float) -> None:  # noqa: ARG002
        self.rows += batch.rows
        self.loaded_at = time.monotonic()
        if batch.first_commit:
            self.lags.append(time.time() - batch.first_commit)

    def load(self, rows: int) -> Ratio:
        """Load a table of so many rows, and COPY it."""
        with psycopg.connect(self.source.url(), autocommit=True) as connection:
            connection.execute(_TABLE)
            connection.execute(_ROWS.format(1, rows))
            connection.execute("checkpoint")
            started = time.monotonic()
            with connection.cursor().copy("copy orders to stdout") as copy:
                for _ in copy:
                    pass
            copied = time.monotonic() - started
        self._last = rows
        started = time.monotonic()
        self.runner.run(threading.Event(), once=True)
        return Ratio(
            f"stream: load of {rows:,} rows", self.loaded_at - started, copied, "COPY", most=3,
            note=f"{rows / (self.loaded_at - started):,.0f} rows/s, start included",
        )  # fmt: skip

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow for the block."""
        stopping = threading.Event()
        thread = threading.Thread(target=self.runner.run, args=(stopping,))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def write(self, rate: float, seconds: float) -> int:
        """Change so many rows a second, half of them new; return how many."""
        written, began = 0, time.monotonic()
        with psycopg.connect(self.source.url(), autocommit=True) as connection:
            while (elapsed := time.monotonic() - began) < seconds:
                if written < elapsed * rate:
                    first, last = self._last + 1, self._last + 125
                    connection.execute(_ROWS.format(first, last))
                    connection.execute(
                        "update orders set status = 'paid', updated = now() "
                        "where id between %s and %s", (first, last),
                    )  # fmt: skip
                    written, self._last = written + 250, last
                else:
                    time.sleep(0.005)
        return written

    def throughput(self, rate: float, seconds: float) -> Ratio:
        """Write for so long; measure until the last change has landed."""
        self.rows, self.lags = 0, []
        began = time.monotonic()
        changes = self.write(rate, seconds)
        while self.rows < changes and time.monotonic() - began < seconds * 4:
            time.sleep(0.02)
        took = time.monotonic() - began
        lags = sorted(self.lags)
        return Ratio(
            f"stream: {changes:,} changes in {seconds:.0f} s, landed", took,
            self.rows / AIM_A_SECOND,
            f"{AIM_A_SECOND:,} a second", most=1,
            note=f"{self.rows / took:,.0f} changes/s; oldest change of a batch to its commit: "
            f"p50 {statistics.median(lags):.2f} s, p95 {lags[int(len(lags) * 0.95)]:.2f} s",
        )  # fmt: skip

    def freshness(self, rate: float, seconds: float) -> list[float]:
        """Return how long it took from commits at the source until a reader of the lake saw them.

        Args:
            rate: Changes a second that are written besides.
            seconds: How long.
        """
        ending = threading.Event()
        load = threading.Thread(target=self.write, args=(rate, seconds))
        if rate:
            load.start()
        committed: dict[int, float] = {}
        probing = threading.Thread(target=self._probe, args=(seconds, committed, ending))
        probing.start()
        seen: list[float] = []
        with connect_duckdb(self.storage, threads=1) as connection:
            attach_lake(connection, self.catalog, self.storage, read_only=True)
            known, deadline = 0, time.monotonic() + seconds + 60
            while not (ending.is_set() and known >= max(committed)):
                newest = self._newest(connection)
                now = time.monotonic()
                for probe in range(known + 1, newest + 1):
                    while probe not in committed:  # its commit has not returned to the writer yet
                        time.sleep(0.001)
                    seen.append(max(now - committed[probe], 0.0))
                known = max(known, newest)
                if now > deadline:
                    raise TimeoutError
                time.sleep(_LOOK_S)
        probing.join()
        if rate:
            load.join()
        with psycopg.connect(self.source.url()) as source:
            source.execute("delete from probes")
        time.sleep(3)
        return sorted(seen)

    def _probe(self, seconds: float, committed: dict[int, float], ending: threading.Event) -> None:
        began, probe = time.monotonic(), 0
        with psycopg.connect(self.source.url(), autocommit=True) as connection:
            while time.monotonic() - began < seconds:
                probe += 1
                connection.execute("insert into probes values (%s)", (probe,))
                committed[probe] = time.monotonic()
                time.sleep(_PROBE_S)
        ending.set()

    def _newest(self, connection: duckdb.DuckDBPyConnection) -> int:
        try:
            return int(connection.execute(
                "select coalesce(max(id), 0) from lake.landing_bench.probes "
                "where _lavra_sequence > "
                "(select coalesce(max(_lavra_sequence), 0) from lake.landing_bench.probes "
                "where _ab_cdc_deleted_at is not null)"
            ).fetchall()[0][0])  # fmt: skip
        except duckdb.Error:  # its files were flushed or merged away: a fresh look finds them
            connection.execute("detach lake")
            attach_lake(connection, self.catalog, self.storage, read_only=True)
            return 0


def _ratios(what: str, seen: list[float]) -> list[Ratio]:
    return [
        Ratio(f"stream: commit to a reader of the lake, {what}, p{p}",
              seen[int(len(seen) * p / 100)], aim, f"the aim of {aim} s", most=1,
              note=f"{len(seen)} commits")
        for p, aim in ((50, 1.5), (95, 3.0))
    ]  # fmt: skip


def _plot(path: Path, curves: dict[str, list[float]]) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - of the group bench

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for name, seen in curves.items():
        axes.step(seen, [(i + 1) / len(seen) for i in range(len(seen))], label=name)
    axes.set_xlabel("seconds from the commit at the source until a reader of the lake saw it")
    axes.set_ylabel("share of commits")
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Date": None})


def main(argv: list[str] | None = None) -> list[Ratio]:
    """Measure; return, and print, the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the initial load")
    parser.add_argument("--rate", type=int, default=21_000, help="changes a second to write")
    parser.add_argument("--seconds", type=float, default=60, help="how long to write")
    parser.add_argument("--fresh-seconds", type=float, default=30, help="how long to look")
    parser.add_argument("--plot", type=Path, help="write the distribution of freshness here")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "project")
        try:
            ratios = [bench.load(options.rows)]
            with bench.following():
                idle = bench.freshness(0, options.fresh_seconds)
                busy = bench.freshness(5_000, options.fresh_seconds)
                ratios += _ratios("idle", idle) + _ratios("5,000 changes/s", busy)
                ratios.append(bench.throughput(options.rate, options.seconds))
        finally:
            bench.close()
    if options.plot:
        _plot(options.plot, {"idle": idle, "5,000 changes a second": busy})
    for ratio in ratios:
        print(f"{ratio.name}: {ratio.measured:.2f} s, {ratio.ratio:.2f} times "
              f"{ratio.reference_name} ({ratio.note})"
              f"{'' if ratio.met else ': MISSED'}")  # fmt: skip
    return ratios


if __name__ == "__main__":
    main()
