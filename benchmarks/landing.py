"""Landing a Postgres table in Bronze, against a plain COPY of the same table to a CSV file.

The table has the columns of an orders table: identifiers, two timestamps, money, text. The COPY
is the server's own, to a file on its disk: the fastest way out of Postgres that makes text.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.ratio import Ratio
from lavra.catalog.local_postgres import LocalPostgres
from lavra.landing.bronze_writer import BronzeWriter, file_prefix
from lavra.landing.connections import Stream
from lavra.landing.postgres_source import open_postgres
from lavra.storage import LakeStorage

_TABLE = """
create table orders as
select g::bigint as order_id, g::bigint * 7919 % 20000 as customer_id,
       timestamptz '2024-01-01' + g * interval '61 s' as ordered_at,
       (array['paid', 'shipped', 'delivered', 'cancelled'])[1 + g % 4] as status,
       'web'::text as channel, (g % 99991 / 100.0)::numeric(12, 2) as total,
       (g % 1999 / 100.0)::numeric(12, 2) as shipping, g % 2 = 0 as gift,
       timestamptz '2024-01-02' + g * interval '61 s' as updated_at, md5(g::text) as note
from generate_series(1, {rows}) g
"""


def main(argv: Sequence[str]) -> list[Ratio]:
    """Time both ways, in turns, and compare the medians."""
    parser = argparse.ArgumentParser(prog="landing")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(list(argv))
    with tempfile.TemporaryDirectory(prefix="lavra-bench-") as folder:
        root = Path(folder)
        root.chmod(0o777)  # the server may run as another user, and writes its CSV here
        server = LocalPostgres(root / "postgres")
        server.start()
        try:
            return [_compare(server, root, options.rows, options.rounds)]
        finally:
            server.leave()


def _compare(server: LocalPostgres, root: Path, rows: int, rounds: int) -> Ratio:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(_TABLE.format(rows=rows).encode())
        connection.execute("vacuum analyze orders")
        landed, copied = [], []
        target = str(root / "orders.csv")
        for number in range(rounds + 1):  # the first round warms up
            copy = seconds(
                lambda: connection.execute(f"copy orders to '{target}' (format csv)".encode())
            )
            land = seconds(partial(_land, server.url(), root / f"lake{number}", rows))
            if number > 0:
                copied.append(copy)
                landed.append(land)
    return Ratio(
        name=f"land {rows:,} rows of Postgres in Bronze",
        measured=statistics.median(landed),
        reference=statistics.median(copied),
        reference_name="COPY to CSV",
        unit="s",
        most=3.0,
        note=f"median of {rounds} rounds in turns",
    )


def _land(url: str, lake: Path, rows: int) -> None:
    storage = LakeStorage(f"file://{lake}", {})
    stream = Stream(name="orders")
    now = dt.datetime.now(dt.UTC)
    with open_postgres(url) as reader, reader.read(stream, None) as read, BronzeWriter(
        storage, file_prefix("bench", "orders", now), read.schema(), sync_id=1,
        generation_id=1, extracted_at=now,
    ) as writer:  # fmt: skip
        for batch, changes in read.batches:
            writer.write(batch, changes)
    if writer.row_count != rows:
        msg = f"landed {writer.row_count} rows of {rows}"
        raise RuntimeError(msg)


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    import sys

    for ratio in main(sys.argv[1:]):
        print(ratio)
