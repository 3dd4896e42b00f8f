"""What recurs, recurs: once for each part of a lake, and for as long as it is wanted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.catalog.locks import WORKER_LOCK, advisory_lock
from lavra.errors import ProcessError, SourceError
from lavra.settings import Settings, load_settings
from lavra.storage import open_storage
from lavra.streams.source import Batch, Lag
from lavra.worker.metrics import WorkerMetrics
from lavra.worker.recurring import IngestPart, ModelsPart
from lavra.worker.worker import Worker

CONNECTION = """
name: stock
description: d
owner: o
source: {connector: csv, config: {root: data}}
streams: [{name: items, path: "*.csv", sync_mode: full_refresh_append}]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    root = tmp_path_factory.mktemp("worker") / "project"
    (root / "data").mkdir(parents=True)
    (root / "airbyte" / "connections").mkdir(parents=True)
    (root / "airbyte" / "connections" / "stock.yaml").write_text(CONNECTION)
    (root / "lavra.toml").write_text('name = "test"\n')
    settings = load_settings(root, worker_look_s=0.1, worker_models_pause_s=0.0)
    yield settings
    catalog = open_catalog(settings)
    if catalog.server:
        catalog.server.leave()


@pytest.fixture
def catalog(project: Settings) -> Catalog:
    return open_catalog(project)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_lands_is_modelled_until_it_is_stopped(project: Settings, catalog: Catalog) -> None:
    runs: list[float] = []
    failing = threading.Event()

    def run(_settings: Settings, _stopping: threading.Event) -> None:
        runs.append(time.monotonic())
        if failing.is_set():
            failing.clear()
            raise ProcessError("no")

    metrics = WorkerMetrics()
    worker = Worker(
        catalog,
        [IngestPart(project, catalog, open_storage(project), metrics),
         ModelsPart(project, catalog, metrics, run)],
    )  # fmt: skip
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        until(lambda: len(runs) == 1)  # what was there before
        failing.set()
        (project.project / "data" / "a.csv").write_text("id\n1\n")
        until(lambda: len(runs) >= 3)  # one that fails, and its repetition
        with metrics.served("127.0.0.1", 0) as port:
            url = f"http://127.0.0.1:{port}/metrics"
            with urllib.request.urlopen(url, timeout=30) as answer:
                said = answer.read().decode()
        assert 'lavra_worker_landings_total{connection="stock",result="landed"} 1.0' in said
        assert 'lavra_worker_model_run_seconds_count{result="failed"} 1.0' in said
    finally:
        worker.stopping.set()
        thread.join()


def test_a_part_is_done_by_one_worker_at_a_time(catalog: Catalog) -> None:
    class Streams:
        name, lock, follows = "streams", WORKER_LOCK, False

        def run(self, stopping: threading.Event, *, once: bool) -> None:  # noqa: ARG002
            running.set()
            stopping.wait()

    running, waiting = threading.Event(), threading.Event()
    worker = Worker(catalog, [Streams()])
    thread = threading.Thread(target=worker.run, kwargs={"on_wait": lambda _: waiting.set()})
    with advisory_lock(catalog, WORKER_LOCK):
        thread.start()
        assert waiting.wait(120)
        assert not running.is_set()
    assert running.wait(120)
    worker.stopping.set()
    thread.join(120)
    assert not thread.is_alive()


def test_once_runs_models_last_and_says_what_failed(catalog: Catalog) -> None:
    order: list[str] = []

    class Part:
        def __init__(self, name: str, lock: int, *, follows: bool) -> None:
            self.name, self.lock, self.follows = name, lock, follows

        def run(self, _stopping: threading.Event, *, once: bool) -> None:
            assert once
            order.append(self.name)
            if self.name == "streams":
                raise SourceError("away")

    worker = Worker(
        catalog, [Part("models", 0x1A57A_F002, follows=True),
                  Part("streams", 0x1A57A_F001, follows=False)],
    )  # fmt: skip
    with pytest.raises(SourceError, match="away"):
        worker.run(once=True)
    assert order == ["streams", "models"]


def test_the_command_waits_its_turn_and_ends_when_told(project: Settings, catalog: Catalog) -> None:
    from lavra.catalog.locks import WORKER_INGEST_LOCK

    with advisory_lock(catalog, WORKER_INGEST_LOCK):
        process = subprocess.Popen(
            [sys.executable, "-m", "lavra", "worker", "--only", "ingest"],
            cwd=project.project, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"LAVRA_WORKER_METRICS_PORT": "0"},
        )  # fmt: skip
        assert process.stderr
        while line := process.stderr.readline():
            if "Another worker does ingest" in line:
                break
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said


def test_metrics_of_a_stream() -> None:
    metrics = WorkerMetrics()
    metrics.landed("s", Batch((), {}, 3, first_commit=time.time() - 0.7, rows=3, bytes=30), 0.01)
    metrics.lag("s", Lag(5, 7))
    metrics.stream_state("s", "running")

    def value(name: str, **labels: Any) -> float | None:
        return metrics.registry.get_sample_value(name, {"stream": "s", **labels})

    assert value("lavra_stream_rows_total") == 3
    assert value("lavra_stream_freshness_seconds_bucket", le="0.5") == 0
    assert value("lavra_stream_freshness_seconds_count") == 1
    assert value("lavra_stream_retained_bytes") == 7
    assert value("lavra_stream_state", state="running") == 1
    assert value("lavra_stream_state", state="failed") == 0
