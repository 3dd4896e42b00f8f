"""Source, catalog and store break off while a stream runs; nothing is lost, nothing comes twice."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from lavra.catalog import Catalog
from lavra.errors import LavraError
from lavra.libpq import UNANSWERED_MS
from lavra.streams.landing import StreamLanding
from lavra.streams.postgres.source import PostgresStreamSource
from tests.lavra.streams.conftest import Followed
from tests.lavra.streams.gates import gate

Follow = Callable[..., Followed]


class Reports:
    """What a runner says of itself."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def __call__(self, state: str, error: LavraError | None) -> None:  # noqa: ARG002
        self.states.append(state)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def following(followed: Followed) -> Iterator[Reports]:
    reports, stopping = Reports(), threading.Event()
    thread = threading.Thread(target=followed.runner(report=reports).run, args=(stopping,))
    thread.start()
    try:
        until(lambda: "running" in reports.states)
        yield reports
    finally:
        stopping.set()
        thread.join()


def cut_off(url: str, database: str, *, allowed: bool) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "update pg_database set datallowconn = %s where datname = %s", (allowed, database)
        )
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (database,)
        )


def insert(followed: Followed, first: int, last: int) -> None:
    followed.sql(f"insert into numbers select g, 'n' || g from generate_series({first}, {last}) g")


def patience_ms(port: int) -> list[int]:
    """How long each connection of this process to a port waits for what it sent to be answered."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not entry.readlink().name.startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as held:
                if held.getpeername()[1] == port:
                    found.append(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        except (OSError, IndexError):  # not a connection, not by TCP, or closed by now
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels lack the option")
def test_a_server_that_vanishes_is_noticed(follow: Follow) -> None:
    followed = follow("public.numbers", sql="create table numbers (id int primary key, body text)")
    insert(followed, 1, 10)
    assert followed.lake.catalog.server
    servers = followed.server, followed.lake.catalog.server
    with gate(servers[0]) as source_gate, gate(servers[1]) as catalog_gate:
        catalog = Catalog(f"postgresql://postgres@127.0.0.1:{catalog_gate.port}/lavra")
        landing = StreamLanding(catalog, followed.lake.storage, followed.name)
        url = f"postgresql://postgres@127.0.0.1:{source_gate.port}/{followed.name}"
        source = PostgresStreamSource(followed.declaration, url, "test")
        try:
            source.open(None, 0)
            batch = source.poll(time.monotonic())
            assert batch
            landing.land(batch)
            with catalog.connect():
                for port, least in ((source_gate.port, 2), (catalog_gate.port, 2)):
                    waits = patience_ms(port)
                    assert len(waits) >= least
                    assert set(waits) == {UNANSWERED_MS}
        finally:
            source.close()
            landing.close()


def test_source_catalog_and_store_break_off(follow: Follow) -> None:
    followed = follow("public.numbers", sql="create table numbers (id int primary key, body text)")
    lake = followed.lake
    insert(followed, 1, 600)
    followed.catch_up()
    assert lake.catalog.server
    catalog_url = lake.catalog.server.url("postgres")
    data = Path(lake.storage.url_of("ducklake").removeprefix("file://"))
    folder = data / f"landing_{followed.name}"
    with following(followed) as reports:
        insert(followed, 601, 650)
        followed.server.kill()
        followed.server.leave()  # it is kept until it is left
        followed.server.start()
        insert(followed, 651, 700)
        until(lambda: reports.states.count("running") > 1)

        seen = len(reports.states)
        cut_off(catalog_url, "lavra", allowed=False)
        insert(followed, 701, 1400)
        until(lambda: "waiting" in reports.states[seen:])
        cut_off(catalog_url, "lavra", allowed=True)
        until(lambda: reports.states[-1] == "running")

        seen, aside = len(reports.states), folder.with_name("aside")
        folder.rename(aside)
        folder.symlink_to(data / "nowhere")
        insert(followed, 1401, 2100)
        until(lambda: "waiting" in reports.states[seen:])
        found = data / "found"
        found.symlink_to(aside)
        found.replace(folder)  # at once: nobody makes a new folder in between
        until(lambda: reports.states[-1] == "running")
    followed.catch_up()
    assert followed.landed("numbers", "id") == [(i,) for i in range(1, 2101)]
