"""What a refresh costs beside a full load, through the loader that the service uses.

Twenty million rows in a hundred days; then 0.1%, 1% and 10% of them are written again, as a daily
model does it, several times each. The reference is the full load of the same run. Beside that: a
month of six years' rows, in order of time and as written, with and without leaving batches out.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

from datafusion import DataFrame, RuntimeEnvBuilder

from benchmarks.ratio import Ratio
from lavra.releases.store import get_release
from query_service.cache import table_loader
from query_service.cache.lake_reader import LakeReader
from query_service.cache.loader import LoadReport, load_release, release_file
from query_service.engine.session import ReleaseSession
from tests.query_service.cache.test_refresh_cost import fill, some_days, some_rows
from tests.query_service.conftest import Lake, close_lake, make_lake

MONTH = (
    "select count(*) as n, sum(amount) as amount from gold_test.mixed "
    "where day >= date '2022-02-01' and day < date '2022-03-01'"
)
_FACTS = "lake.gold_test.facts"


def main(argv: list[str]) -> list[Ratio]:
    """Measure refreshes after three sizes of change, and the pruning of a month."""
    parser = argparse.ArgumentParser(prog="refresh", description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        root.chmod(0o755)  # our Postgres runs as a user of its own when we are root
        lake = make_lake(root / "lake")
        reader = LakeReader(lake.catalog, lake.storage)
        try:
            return _measure(lake, reader, root / "cache", options.rows, options.repeat)
        finally:
            reader.close()
            close_lake(lake)


def _measure(lake: Lake, reader: LakeReader, folder: Path, rows: int, repeat: int) -> list[Ratio]:
    fill(lake, rows)
    reader.renew()
    full, full_s = _load(lake, reader, folder)
    reader.renew()  # as a service does after a large load
    ratios = []
    for what, days, part, most in (("0.1%", 1, 10, None), ("1%", 1, 1, 0.05), ("10%", 10, 1, None)):
        times, read = [], 0
        for turn in range(repeat):
            first = 5 + 10 * (turn % 8)
            lake.duck.execute(
                f"delete from {_FACTS} where day >= date '2026-01-01' + {first} "
                f"and day < date '2026-01-01' + {first + days}"
            )
            lake.duck.execute(f"insert into {_FACTS} {some_days(rows, first, first + days)}")
            if part > 1:  # some rows only, in a file of their own
                _load(lake, reader, folder)
                lake.duck.execute(f"insert into {_FACTS} {some_rows(rows // 1000, first)}")
            report, seconds = _load(lake, reader, folder)
            times.append(seconds)
            read = max(read, report.bytes_read)
        note = (
            f"{rows:,} rows, median of {repeat}; bytes read {read / full.bytes_read:.2%} of "
            f"{full.bytes_read:,}"
        )
        ratios.append(
            Ratio(
                f"refresh after a change of {what}", statistics.median(times), full_s,
                "full load", most=most, note=note,
            )
        )  # fmt: skip
    return ratios + _pruning(lake, reader, folder, rows)


def _pruning(lake: Lake, reader: LakeReader, folder: Path, rows: int) -> list[Ratio]:
    """Time a month of six years' rows that were written in no order of time."""
    lake.duck.execute(
        f"create table lake.gold_test.mixed as select * replace "
        f"(date '2020-01-01' + (hash(id) % 2190)::int as day) from {_FACTS}"
    )
    with lake.catalog.connect() as connection:
        release = get_release(connection, lake.release(tables=[("gold_test", "mixed")]))
    began = time.perf_counter()
    load_release(lake.catalog, lake.storage, release, folder, reader=reader)
    ordered_s = time.perf_counter() - began
    session = ReleaseSession(release_file(folder, release), RuntimeEnvBuilder(), 2)
    plain = folder / "as written"
    with mock.patch.object(table_loader, "order_column", return_value=None):
        began = time.perf_counter()
        load_release(lake.catalog, lake.storage, release, plain, reader=reader)
        as_written_s = time.perf_counter() - began
    as_written = ReleaseSession(release_file(plain, release), RuntimeEnvBuilder(), 2)
    whole = ReleaseSession(release_file(folder, release), RuntimeEnvBuilder(), 2)
    whole._statistics_of = lambda key: None  # type: ignore[method-assign]  # noqa: ARG005, SLF001
    month_ms = 1000 * _median(session.plan(MONTH, {}).frame)
    note = f"{rows:,} rows of six years, written in no order"
    return [
        Ratio(
            "a month, in order of time", month_ms,
            1000 * _median(as_written.plan(MONTH, {}).frame), "as written", "ms", note=note,
        ),
        Ratio(
            "a month, batches left out", month_ms,
            1000 * _median(whole.plan(MONTH, {}).frame), "in order, all batches", "ms", note=note,
        ),
        Ratio("load in order of time", ordered_s, as_written_s, "as written", note=note),
    ]  # fmt: skip


def _load(lake: Lake, reader: LakeReader, folder: Path) -> tuple[LoadReport, float]:
    release_id = lake.release(tables=[("gold_test", "facts")])
    began = time.perf_counter()
    with lake.catalog.connect() as connection:
        release = get_release(connection, release_id)
    report = load_release(lake.catalog, lake.storage, release, folder, reader=reader)
    return report, time.perf_counter() - began


def _median(frame: DataFrame, repeat: int = 9) -> float:
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        frame.collect()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
