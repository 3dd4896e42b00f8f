"""Catalog, source and store are away, for long; afterwards the lake holds each change once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from lavra.catalog.local_postgres import LocalPostgres
from lavra.errors import LavraError
from lavra.settings import load_settings
from tests.conftest import BUCKET
from tests.lavra.streams.compared import (
    TABLES,
    assert_same_history,
    assert_same_state,
    random_writes,
)
from tests.lavra.streams.conftest import Followed, StreamLake
from tests.lavra.streams.gates import Gate, Store, gate, store_front
from tests.lavra.streams.writers import SCHEMA
from tests.lavra.streams.zygote import BUSY


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Remote:
    """A lake whose catalog is reached by TCP and whose files are in a bucket."""

    def __init__(
        self, lake: StreamLake, catalog: Gate, store: Store, source: LocalPostgres
    ) -> None:
        self.lake, self.catalog, self.store, self.source = lake, catalog, store, source


@pytest.fixture
def remote(
    project: Path, tmp_path: Path, gcs_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Remote]:
    server = LocalPostgres(tmp_path / "catalog", {"fsync": "off"})
    source = LocalPostgres(tmp_path / "origin", {"wal_level": "logical", "fsync": "off"})
    server.start()
    source.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create database warehouse")
    with gate(server) as catalog, store_front(gcs_emulator) as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        monkeypatch.setenv("LAVRA_LAKE_URL", f"gs://{BUCKET}/{tmp_path.name}")
        url = f"postgresql://postgres@127.0.0.1:{catalog.port}/warehouse"
        monkeypatch.setenv("LAVRA_CATALOG_URL", url)
        yield Remote(StreamLake(load_settings(project)), catalog, store, source)
    source.leave()
    server.leave()


def kill_9(server: LocalPostgres) -> None:
    """Kill a server and all of its processes; wait until nothing of it runs."""
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    processes = [postmaster, *children_of(postmaster)]
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in processes))


def children_of(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
        except OSError:
            continue
        if int(status.rpartition(")")[2].split()[1]) == parent:
            found.append(int(folder.name))
    return found


class Outage:
    """A stream of three writers' changes, while something is taken away from it."""

    def __init__(self, remote: Remote, followed: Followed, seed: int) -> None:
        self.remote, self._followed = remote, followed
        self.chance = random.Random(seed)  # noqa: S311 - a test
        self._commits, self._last = 0, 1000
        self.states: list[str] = []

    def observe(self, *_: object) -> None:
        self._commits += 1

    def report(self, state: str, error: LavraError | None) -> None:  # noqa: ARG002
        self.states.append(state)

    def write_many(self) -> None:
        """Write more rows at once than stay in the catalog."""
        first, self._last = self._last, self._last + 700
        self._followed.sql(
            "insert into things (id, v, name) select g, nextval('version'), 'many' "
            f"from generate_series({first}, {self._last - 1}) g on conflict do nothing"
        )

    def last(self, seconds: float) -> None:
        """Let time pass, with many rows written each second."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.write_many()
            time.sleep(min(1.0, seconds))

    def land(self) -> None:
        """Wait until more has landed."""
        before = self._commits
        until(lambda: self._commits >= before + 2)

    def cut_catalog(self, seconds: float) -> None:
        self.remote.catalog.shut()
        self.last(seconds)
        self.remote.catalog.open()
        self.land()

    def stall_catalog(self, seconds: float) -> None:
        self.remote.catalog.stall()
        self.last(seconds)
        self.remote.catalog.open()
        self.land()

    def kill_source(self) -> None:
        kill_9(self.remote.source)
        self.remote.source.leave()  # it is kept until it is left
        self.remote.source.start()
        self.land()

    def fail_store(self, seconds: float) -> None:
        """Have the store answer 503; every other request it carries out all the same."""
        before = self.remote.store.refused
        self.remote.store.failing.set()
        self.last(seconds)
        until(lambda: self.remote.store.refused > before)
        self.remote.store.failing.clear()
        self.land()


@contextmanager
def outage(remote: Remote, seed: int) -> Iterator[Outage]:
    """Write and follow during the block, then compare all that was written with what landed."""
    followed = Followed(remote.lake, remote.source, f"outage{seed}")
    followed.sql(SCHEMA)
    followed.declare(*TABLES, max_rows=1000)
    followed.catch_up()
    happening = Outage(remote, followed, seed)
    stopping = threading.Event()
    runner = followed.runner(report=happening.report, observe=happening.observe, limits=BUSY)
    thread = threading.Thread(target=runner.run, args=(stopping,))
    writers = random_writes(followed, seed, 10**9, pause_s=0.1)
    thread.start()
    try:
        happening.land()
        yield happening
    finally:
        for writer in writers:
            writer.stopping.set()
            writer.join()
        stopping.set()
        thread.join()
    followed.catch_up()
    assert_same_history(followed)
    assert_same_state(followed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_catalog_is_cut_off(remote: Remote) -> None:
    with outage(remote, 2) as happening:
        happening.cut_catalog(30)
        assert "waiting" in happening.states
        happening.stall_catalog(30)
        for _ in range(6):  # at any moment of a commit
            happening.cut_catalog(happening.chance.uniform(0.05, 1.5))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_source_is_killed(remote: Remote) -> None:
    with outage(remote, 3) as happening:
        for _ in range(6):
            happening.kill_source()
            happening.last(happening.chance.uniform(0, 3))
        assert happening.states.count("waiting") >= 6


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_store_answers_503(remote: Remote) -> None:
    with outage(remote, 4) as happening:
        happening.fail_store(60)
        assert "waiting" in happening.states
        for _ in range(3):  # the client's own retries outlast these
            happening.fail_store(happening.chance.uniform(0.5, 4))
