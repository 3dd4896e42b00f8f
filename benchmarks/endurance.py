"""Endurance: hours of micro-batches in a row; what the lake, its catalog and the worker come to.

``python -m benchmarks.endurance --batches 7200 --speed 8 --plot FILE.png`` is two hours of the
default's batches, one a second, in a quarter of an hour: the batches, and whatever the housekeeping
does by time (flush, expiry, vacuum), come ``speed`` times as often.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.ratio import Ratio
from lavra.catalog import Catalog, open_catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.settings import load_settings
from lavra.storage import open_storage
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.maintenance import MaintenanceLimits
from lavra.streams.postgres.source import PostgresStreamSource
from lavra.streams.runner import StreamRunner

_SOURCE = """
create table events (id bigint generated always as identity primary key, aircraft int,
                     kind text, note text, at timestamptz default clock_timestamp());
create table orders (id bigint generated always as identity primary key, status text,
                     amount numeric(12,2), changed timestamptz default clock_timestamp());
"""
_ORDERS = 5_000
_LARGE_EVERY, _LARGE_ROWS = 60, 3_000
_LOOK_S = 5.0


@dataclass
class Look:
    """What there was at one moment.

    Attributes:
        minutes: Of the uncompressed time.
        worker_mib: Resident memory of the worker.
        catalog_mib: Size of the catalog's database.
        metadata_rows: Rows of DuckLake's tables, by table.
        files: Data files in the lake's folder, those that nobody needs any more included.
        live_files: Data files of the newest snapshot.
    """

    minutes: float
    worker_mib: float
    catalog_mib: float
    metadata_rows: dict[str, int]
    files: int
    live_files: int


@dataclass
class Course:
    """How a run went.

    Attributes:
        speed: How many times as fast as the clock.
        rows: Changes landed.
        looks: In order of time.
        commits: (minutes of uncompressed time, seconds) of each batch; housekeeping left out.

    """

    speed: float
    rows: int = 0
    looks: list[Look] = field(default_factory=list)
    commits: list[tuple[float, float]] = field(default_factory=list)

    def settled(self, value: str) -> tuple[float, float]:
        """Return the greatest value of the third and of the last quarter of the run."""
        return self._quarters([float(_total(getattr(look, value))) for look in self.looks])

    def latency(self, percentile: float) -> tuple[float, float]:
        """Return a percentile of commits, in seconds, in the third and in the last quarter."""
        seconds = [took for _, took in self.commits]
        size = len(seconds) // 4
        third, last = sorted(seconds[-2 * size : -size]), sorted(seconds[-size:])
        return third[int(size * percentile)], last[int(size * percentile)]

    @staticmethod
    def _quarters(values: list[float]) -> tuple[float, float]:
        size = len(values) // 4
        return max(values[-2 * size : -size]), max(values[-size:])


def compressed(limits: MaintenanceLimits, speed: float) -> MaintenanceLimits:
    """Return limits whose times pass ``speed`` times as fast; counts stay."""
    times = {f.name: getattr(limits, f.name) / speed for f in fields(limits) if f.name[-2:] == "_s"}
    return replace(limits, **times)


def follow(root: str, url: str, speed: float, log: str, ending: Any) -> None:
    """Be the worker: follow the stream until told to end, and write down each commit."""
    settings = load_settings(Path(root))
    stopping = threading.Event()

    def end() -> None:
        ending.wait()
        stopping.set()

    threading.Thread(target=end, daemon=True).start()
    declaration = StreamDeclaration.model_validate(
        {"name": "endurance", "description": "-", "owner": "-", "tables": ["public.events",
         "public.orders"], "source": {"connector": "postgres", "workload": "aviation"},
         "batch": {"max_seconds": 1 / speed}}
    )  # fmt: skip
    with Path(log).open("a", buffering=1) as lines:

        def observe(batch: Any, landing: Any, seconds: float) -> None:  # noqa: ARG001
            lines.write(json.dumps([time.time(), batch.rows, seconds]) + "\n")

        StreamRunner(
            open_catalog(settings), open_storage(settings), declaration,
            lambda: PostgresStreamSource(declaration, url, "endurance"),
            observe=observe, limits=compressed(MaintenanceLimits(), speed),
        ).run(stopping)  # fmt: skip


class Endurance:
    """A source that changes all the time, a worker in a process of its own, and who looks on."""

    def __init__(self, root: Path, speed: float) -> None:
        root.mkdir()
        root.parent.chmod(0o755)
        (root / "lavra.toml").write_text('name = "endurance"\n')
        self._root, self._speed = root, speed
        settings = load_settings(root)
        self._source = LocalPostgres(root / "source", {"wal_level": "logical"})
        self._source.start()
        self._catalog: Catalog = open_catalog(settings)
        self._folder = Path(open_storage(settings).url_of("ducklake").removeprefix("file://"))
        with self._catalog.connect(autocommit=True) as connection:
            pause = max(round(60 / speed), 1)
            connection.execute(f"alter system set autovacuum_naptime = '{pause}s'")
            connection.execute("select pg_reload_conf()")
        with psycopg.connect(self._source.url()) as connection:
            connection.execute(_SOURCE)
            connection.execute(
                "insert into orders (status, amount) select 'new', g from generate_series(1, %s) g",
                (_ORDERS,),
            )

    def close(self) -> None:
        """Stop the servers."""
        self._source.leave()
        if self._catalog.server:
            self._catalog.server.leave()

    def run(self, batches: int, most_seconds: float) -> Course:
        """Follow for so many batches, or so many seconds."""
        course, log = Course(self._speed), self._root / "commits.jsonl"
        log.touch()
        context = multiprocessing.get_context("spawn")
        ending, written = context.Event(), threading.Event()
        worker = context.Process(
            target=follow,
            args=(str(self._root), self._source.url(), self._speed, str(log), ending),
        )
        worker.start()
        writer = threading.Thread(target=self._write, args=(written,))
        writer.start()
        try:
            with log.open() as lines:
                began, deadline = 0.0, time.monotonic() + most_seconds
                while len(course.commits) < batches and time.monotonic() < deadline:
                    time.sleep(min(_LOOK_S, 60 / self._speed))
                    if not worker.is_alive():
                        raise RuntimeError("the worker has died")
                    for line in lines.readlines():
                        at, rows, seconds = json.loads(line)
                        began = began or at
                        course.rows += rows
                        course.commits.append(((at - began) * self._speed / 60, seconds))
                    if began:
                        minutes = (time.time() - began) * self._speed / 60
                        course.looks.append(self._look(minutes, worker.pid or 0))
        finally:
            written.set()
            writer.join()
            ending.set()
            worker.join(60)
            worker.kill()
            worker.join()
            worker.close()
        return course

    def _write(self, written: threading.Event) -> None:
        """Change about a hundred rows for each batch, and a few thousand once a minute."""
        chance, second = random.Random(1), 0  # noqa: S311 - a measurement
        began = time.monotonic()
        with psycopg.connect(self._source.url(), autocommit=True) as connection:
            while not written.wait(max(began + second / self._speed - time.monotonic(), 0)):
                second += 1
                events = _LARGE_ROWS if second % _LARGE_EVERY == 0 else chance.randint(1, 100)
                connection.execute(
                    "insert into events (aircraft, kind, note) select g %% 200, 'kind ' || g %% 7, "
                    "'a note of some length ' || g from generate_series(1, %s) g", (events,),
                )  # fmt: skip
                first = chance.randint(1, _ORDERS)
                connection.execute(
                    "update orders set status = 'state ' || %s, changed = clock_timestamp() "
                    "where id between %s and %s", (second % 9, first, first + 40),
                )  # fmt: skip
                if second % 10 == 0:
                    connection.execute(
                        "delete from events where id = (select max(id) - 5 from events)"
                    )

    def _look(self, minutes: float, worker: int) -> Look:
        with self._catalog.connect() as connection:
            size = connection.execute("select pg_database_size(current_database())").fetchone()
            tables = connection.execute(
                "select tablename from pg_tables where schemaname = 'ducklake'"
            ).fetchall()
            rows = {}
            for (table,) in tables:
                query = sql.SQL("select count(*) from ducklake.{}").format(sql.Identifier(table))
                count = connection.execute(query).fetchone()
                rows[table] = int(count[0]) if count else 0
            live = connection.execute(
                "select count(*) from ducklake.ducklake_data_file where end_snapshot is null"
            ).fetchone()
        status = Path(f"/proc/{worker}/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return Look(
            minutes, int(resident.split()[1]) / 1024, (size[0] if size else 0) / 2**20, rows,
            sum(1 for _ in self._folder.rglob("*.parquet")), int(live[0]) if live else 0,
        )  # fmt: skip


def _total(value: float | dict[str, int]) -> float:
    return sum(value.values()) if isinstance(value, dict) else value


def _plot(path: Path, course: Course) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - of the group bench

    minutes = [look.minutes for look in course.looks]
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True).ravel()
    panels[0].plot([at for at, _ in course.commits], [1000 * s for _, s in course.commits],
                   ",", alpha=0.35, color="tab:blue")  # fmt: skip
    size = max(len(course.commits) // 60, 1)
    parts = [course.commits[i : i + size] for i in range(0, len(course.commits), size)]
    for share, name in ((0.5, "median"), (0.95, "p95")):
        panels[0].plot(
            [part[len(part) // 2][0] for part in parts],
            [1000 * sorted(s for _, s in part)[int(len(part) * share)] for part in parts],
            label=name,
        )
    panels[0].set_ylabel("commit of a batch, ms")
    panels[0].set_yscale("log")
    panels[1].plot(minutes, [look.worker_mib for look in course.looks], label="worker's memory")
    panels[1].plot(minutes, [look.catalog_mib for look in course.looks], label="catalog's size")
    panels[1].set_ylabel("MiB")
    panels[2].plot(minutes, [look.files for look in course.looks], label="in the folder")
    panels[2].plot(minutes, [look.live_files for look in course.looks], label="of the newest state")
    panels[2].set_ylabel("data files")
    panels[3].plot(minutes, [_total(look.metadata_rows) for look in course.looks], label="all")
    largest = course.looks[-1].metadata_rows
    for table in sorted(largest, key=largest.__getitem__)[-3:]:
        panels[3].plot(minutes, [look.metadata_rows.get(table, 0) for look in course.looks],
                       label=table)  # fmt: skip
    panels[3].set_ylabel("rows of DuckLake's metadata")
    for panel in panels:
        panel.set_ylim(bottom=None if panel is panels[0] else 0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    for panel in panels[2:]:
        panel.set_xlabel(f"minutes of batches (compressed {course.speed:g} times)")
    figure.savefig(path, metadata={"Date": None})


def endure(batches: int, speed: float, most_seconds: float = 3600) -> Course:
    """Run so many batches, or seconds, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        endurance = Endurance(Path(folder) / "project", speed)
        try:
            return endurance.run(batches, most_seconds)
        finally:
            endurance.close()


def main(argv: list[str] | None = None) -> list[Ratio]:
    """Measure; return, and print, how the last quarter compares with the third."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=600, help="how many")
    parser.add_argument("--speed", type=float, default=8, help="batches a second")
    parser.add_argument("--most-seconds", type=float, default=3600, help="then it ends")
    parser.add_argument("--plot", type=Path, help="draw the course here")
    parser.add_argument("--json", type=Path, help="write the course here")
    options = parser.parse_args(argv)
    course = endure(options.batches, options.speed, options.most_seconds)
    if options.json:
        options.json.write_text(json.dumps(course, default=lambda each: each.__dict__))
    note = (f"{course.rows:,} changes; commits: median "
            f"{1000 * statistics.median(s for _, s in course.commits):.0f} ms")  # fmt: skip
    kept = {name: course.settled(name) for name in
            ("worker_mib", "catalog_mib", "metadata_rows", "files", "live_files")}  # fmt: skip
    kept["commit, p50"], kept["commit, p95"] = course.latency(0.5), course.latency(0.95)
    ratios = [
        Ratio(f"stream: {name} after {len(course.commits):,} batches", last, third,
              "the quarter before", unit="s" if "commit" in name else name, most=1.25, note=note)
        for name, (third, last) in kept.items()
    ]  # fmt: skip
    if options.plot:
        _plot(options.plot, course)
    for ratio in ratios:
        print(f"{ratio.name}: {ratio.measured:.3f}, {ratio.ratio:.2f} times {ratio.reference_name}"
              f" ({ratio.note}){'' if ratio.met else ': MISSED'}")  # fmt: skip
    return ratios


if __name__ == "__main__":
    main()
