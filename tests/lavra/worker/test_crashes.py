"""Errors that nobody foresaw: they are told, and the work begins again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.errors import LavraError
from lavra.settings import Settings, load_settings
from lavra.storage import open_storage
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.source import Batch, Lag
from lavra.worker import crashes
from lavra.worker.following import StreamsPart
from lavra.worker.metrics import WorkerMetrics
from lavra.worker.worker import Worker


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    root = tmp_path_factory.mktemp("crashes") / "project"
    root.mkdir()
    (root / "lavra.toml").write_text('name = "test"\n')
    settings = load_settings(root)
    yield settings
    catalog = open_catalog(settings)
    if catalog.server:
        catalog.server.leave()


class Source:
    """A source without changes that nobody foresaw to be broken at first."""

    def __init__(self) -> None:
        self.opened = 0
        self.mended = threading.Event()

    def open(self, *_: object) -> None:
        self.opened += 1
        if self.opened == 1:
            raise KeyError("column")
        self.mended.wait(120)

    def poll(self, deadline: float) -> Batch | None:  # noqa: ARG002
        time.sleep(0.01)
        return None

    def is_caught_up(self) -> bool:
        return True

    def lag(self) -> Lag:
        return Lag(0, 0)

    def acknowledge(self, position: Any) -> None: ...

    def forget(self) -> None: ...

    def close(self) -> None: ...


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def status(catalog: Catalog) -> tuple[Any, ...] | None:
    with catalog.connect() as connection:
        return connection.execute("select state, error from lavra.stream_status").fetchone()


def test_a_stream_that_crashes_says_so_and_begins_again(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, metrics, catalog = Source(), WorkerMetrics(), open_catalog(project)
    monkeypatch.setattr("lavra.worker.following.open_source", lambda *_: source)
    monkeypatch.setattr(crashes, "FIRST_RETRY_S", 0.05)
    stream = StreamDeclaration.model_validate(
        {"name": "s", "description": "d", "owner": "o", "tables": ["public.t"],
         "source": {"connector": "postgres", "workload": "aviation"}}
    )  # fmt: skip
    part = StreamsPart(project, catalog, open_storage(project), [stream], metrics)
    worker = Worker(catalog, [part], metrics.crashed)
    thread = threading.Thread(target=worker.run)
    thread.start()

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    try:
        until(lambda: source.opened == 2)  # it is trying again, and has not succeeded yet
        assert status(catalog) == ("failed", "Unforeseen KeyError: 'column'")
        assert value("lavra_stream_state", stream="s", state="failed") == 1
        assert value("lavra_stream_state", stream="s", state="running") == 0
        assert value("lavra_worker_crashes_total", thread="stream-s") == 1
        source.mended.set()
        until(lambda: status(catalog) == ("running", None))
        assert value("lavra_stream_state", stream="s", state="failed") == 0
    finally:
        source.mended.set()
        worker.stopping.set()
        thread.join()
    assert status(catalog) == ("stopped", None)


class Part:
    """A part that crashes, each time otherwise."""

    name, lock, follows = "models", 0x1A57A_F003, False

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def run(self, stopping: threading.Event, *, once: bool) -> None:
        if self.errors:
            raise self.errors.pop(0)
        if not once:
            stopping.wait()


def test_a_part_that_crashes_begins_again_and_is_counted(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes, "FIRST_RETRY_S", 0.01)
    part, told = Part(ZeroDivisionError("x"), psycopg.InterfaceError("y")), list[str]()
    worker = Worker(open_catalog(project), [part], told.append)
    thread = threading.Thread(target=worker.run)
    thread.start()
    until(lambda: len(told) == 2 and not part.errors)
    worker.stopping.set()
    thread.join()
    assert told == ["models", "models"]


def test_once_a_crash_is_a_failure(project: Settings) -> None:
    worker = Worker(open_catalog(project), [Part(ZeroDivisionError("x"))])
    with pytest.raises(LavraError, match="Unforeseen ZeroDivisionError: x"):
        worker.run(once=True)


def test_waits_grow_and_end_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Stopping(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return len(waits) == 4

    def work() -> None:
        raise ValueError("x")

    monkeypatch.setattr(crashes, "LAST_RETRY_S", 4.0)
    crashes.keep_working("t", work, Stopping(), lambda *_: None, once=False)
    assert waits == [1.0, 2.0, 4.0, 4.0]
