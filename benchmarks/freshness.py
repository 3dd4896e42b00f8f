"""Measures freshness end to end: from a commit in Postgres until ``POST /v1/sql`` shows it.

Run with ``python -m benchmarks.freshness`` beside ``lavra up --realtime``, with the same settings.
It commits an event in the airline's database, asks for it again and again, and withdraws it.
With ``--load``, other events are corrected meanwhile, so many rows a second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from lavra.settings import load_settings
from lavra.workloads.aviation.source import ensure_source

_INSERT = """
insert into maintenance_events (event_id, work_order_id, aircraft_id, station_code, technician_id,
    kind, ata_chapter, description, man_hours, occurred_at)
select %s, work_order_id, aircraft_id, station_code,
    (select min(technician_id) from technicians), 'inspection', 5, 'freshness', 0.1, now()
from work_orders order by work_order_id limit 1
"""
_WITHDRAW = "delete from maintenance_events where event_id < 0"
_FIRST_ID = -1_000_000_000  # below those that the generator counts up
_POLL_S = 0.02
_CORRECT = """
update maintenance_events set man_hours = man_hours
where event_id between %(first)s::bigint and %(first)s::bigint + %(rows)s - 1
"""
_PER_SECOND = 20
"""Transactions a second of the load."""


def measure(source: str, service: str, events: int, timeout_s: float) -> list[float]:
    """Return the seconds from each commit until it is shown; each event is withdrawn.

    Args:
        source: The airline's database.
        service: URL of the query service.
        events: How many, one after the other.
        timeout_s: How long to wait for one.

    Raises:
        TimeoutError: one was not shown in time.
    """
    took = []
    with (
        psycopg.connect(source, autocommit=True) as connection,
        httpx.Client(base_url=service, timeout=30, trust_env=False) as client,
    ):
        try:
            connection.execute(_WITHDRAW)  # what a run that was killed left
            for number in range(events):
                event = _FIRST_ID + number
                sql = f"select count(*) from gold_aviation.live_events where event_id = {event}"
                connection.execute(_INSERT, (event,))
                began = time.monotonic()
                while not client.post("/v1/sql", json={"sql": sql}).json()["rows"][0][0]:
                    if time.monotonic() - began > timeout_s:
                        raise TimeoutError(f"event {event} is not shown after {timeout_s} s")
                    time.sleep(_POLL_S)
                took.append(time.monotonic() - began)
                time.sleep(random.random())  # noqa: S311 - at no fixed place between two batches
        finally:
            connection.execute(_WITHDRAW)
    return took


@contextmanager
def changing(source: str, rate: int) -> Iterator[list[int]]:
    """Correct events for the block, ``rate`` rows a second; the list says how many were."""
    stopping, done = threading.Event(), [0]

    def change() -> None:
        with psycopg.connect(source, autocommit=True) as connection:
            bounds = (
                "select min(event_id), max(event_id) from maintenance_events where event_id > 0"
            )
            row = connection.execute(bounds).fetchone()
            least, most = row or (1, 1)
            first, began = least, time.monotonic()
            while not stopping.is_set():
                owed = int(rate * (time.monotonic() - began)) - done[0]
                if owed >= rate / _PER_SECOND:
                    rows = min(owed, rate)
                    done[0] += connection.execute(_CORRECT, {"first": first, "rows": rows}).rowcount
                    first = first + rows if first + rows < most else least
                stopping.wait(0.01)

    thread = threading.Thread(target=change)
    if rate:
        thread.start()
    try:
        yield done
    finally:
        stopping.set()
        if rate:
            thread.join()


def plot(series: dict[str, list[float]], path: Path) -> None:
    """Draw the share of events that were shown within a time, a line for each series."""
    width, height, left, top = 640, 320, 60, 20
    longest = max(max(values) for values in series.values()) * 1.05
    colors = ("#1f77b4", "#d62728", "#2ca02c")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 100} {height + 70}">',
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for step in range(5):
        y, x = top + height * step / 4, left + width * step / 4
        parts += [
            f'<line x1="{left}" y1="{y:.0f}" x2="{left + width}" y2="{y:.0f}" stroke="#ddd"/>',
            f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{100 - 25 * step} %</text>',
            f'<text x="{x:.0f}" y="{top + height + 18}">{longest * step / 4:.1f} s</text>',
        ]
    for index, (name, values) in enumerate(series.items()):
        across, down = width / longest, height / len(values)
        points = " ".join(
            f"{left + across * value:.1f},{top + height - down * rank:.1f}"
            for rank, value in enumerate(sorted(values), start=1)
        )
        color = colors[index % len(colors)]
        parts += [
            f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{points}"/>',
            f'<text x="{left + 12}" y="{top + 18 + 16 * index}" fill="{color}">{name}</text>',
        ]
    parts.append(
        f'<text x="{left + width / 2}" y="{top + height + 42}" text-anchor="middle">'
        "from the commit in Postgres until POST /v1/sql shows it</text></svg>"
    )
    path.write_text("\n".join(parts) + "\n")


def main() -> None:
    """Measure, and print percentiles as JSON; with ``--plot``, add the series to a plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--load", type=int, default=0, help="Rows changed a second meanwhile.")
    parser.add_argument("--warm", type=float, default=20.0, help="Seconds of load before.")
    parser.add_argument("--label", default="idle", help="Name of the series.")
    parser.add_argument("--values", type=Path, help="JSON of all series; this one is added.")
    parser.add_argument("--plot", type=Path, help="SVG of all series in --values.")
    options = parser.parse_args()
    settings = load_settings()
    source = ensure_source(settings).url
    began = time.monotonic()
    with changing(source, options.load) as changed:
        if options.load:
            time.sleep(options.warm)
        took = measure(source, settings.resolved_service_url, options.events, options.timeout)
    rate = changed[0] / (time.monotonic() - began)
    points = statistics.quantiles(took, n=20)
    figures = {
        "events": len(took), "p50": points[9], "p95": points[18], "max": max(took),
        "changes_per_second": rate, "machine_load": os.getloadavg()[0],
    }  # fmt: skip
    print(json.dumps({options.label: {k: round(v, 3) for k, v in figures.items()}}))
    if options.values:
        known = json.loads(options.values.read_text()) if options.values.exists() else {}
        known[options.label] = took
        options.values.write_text(json.dumps(known))
        if options.plot:
            plot(known, options.plot)


if __name__ == "__main__":
    main()
