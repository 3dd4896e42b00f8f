"""Large loads are done by a process of their own, whose end is an error and no more."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest

from lavra.errors import CatalogError, ProcessError
from query_service.cache import release_loader
from query_service.cache.cold import ColdRule
from query_service.cache.release_loader import ReleaseLoader
from tests.query_service.cache.test_refresh import rows, truth
from tests.query_service.conftest import Lake, wait_until

NAME = [("gold_test", "large")]


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "release_loader" in " ".join(child.cmdline())
    ]


def test_a_large_load_is_done_aside(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = ReleaseLoader(lake.catalog, lake.storage, tmp_path / "cache", ColdRule())
    create = "create or replace table lake.gold_test.large as select range as id from range({})"
    lake.duck.execute(create.format(1000))
    first = loader.load(lake.release(tables=NAME), [])
    assert first is not None
    started: list[object] = []
    original = subprocess.Popen

    def starting(*arguments: object, **options: object) -> object:
        started.append(arguments[0])
        return original(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", starting)
    lake.duck.execute(create.format(2000))
    small = loader.load(lake.release(tables=NAME), [first[1]])
    assert small is not None
    assert not started  # it is not large yet
    monkeypatch.setattr(release_loader, "LARGE_READ_BYTES", 0)
    lake.duck.execute(create.format(3000))
    large = loader.load(lake.release(tables=NAME), [first[1], small[1]])
    assert large is not None
    assert len(started) == 1
    assert rows(large[1], "gold_test.large") == truth(lake, lake.snapshot(), "lake.gold_test.large")
    # Nothing new: nothing to do aside.
    again = loader.load(lake.release(tables=NAME), [large[1]])
    assert again is not None
    assert (again[1].segments_reused, len(started)) == (1, 1)

    # Its errors are ours.
    lake.duck.execute(create.format(4000))
    release_id = lake.release(tables=NAME)
    for file in Path(lake.storage.root).rglob("large/*.parquet"):
        file.rename(file.with_suffix(".away"))
    with pytest.raises((CatalogError, release_loader.LavraError), match="large"):
        loader.load(release_id, [large[1]])
    for file in Path(lake.storage.root).rglob("large/*.away"):
        file.rename(file.with_suffix(".parquet"))

    # Killed, it leaves an error, and the next try is whole.
    failed: list[Exception] = []

    def load() -> None:
        try:
            loader.load(release_id, [large[1]])
        except ProcessError as error:
            failed.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    wait_until(lambda: bool(children()) or not thread.is_alive())
    os.kill(children()[0].pid, signal.SIGKILL)
    thread.join()
    assert "status -9" in str(failed[0])
    whole = loader.load(release_id, [large[1]])
    assert whole is not None
    assert whole[1].cached[0].row_count == 4000
    loader.close()
