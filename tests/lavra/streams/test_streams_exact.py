"""What lands equals what was written, whatever is written and whoever is killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lavra.streams.compared import (
    TABLES,
    assert_same_history,
    assert_same_state,
    random_writes,
    touch,
)
from tests.lavra.streams.conftest import Followed
from tests.lavra.streams.writers import SCHEMA

Follow = Callable[..., Followed]


class Zygote:
    """Starts the stream in processes that are killed."""

    def __init__(self, followed: Followed, log: Path) -> None:
        self._order = json.dumps(
            {"project": str(followed.lake.settings.project), "url": followed.url,
             "declaration": followed.declaration.model_dump_json(), "log": str(log)}
        )  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.lavra.streams.zygote"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[3],
        )  # fmt: skip

    def run_for(self, seconds: float) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(self._order + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        time.sleep(seconds)
        subprocess.run(["kill", "-9", str(pid)], check=True)
        assert self._process.stdout.readline() == "dead\n"

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[Callable[[Followed], Zygote]]:
    made: list[Zygote] = []

    def make(followed: Followed) -> Zygote:
        made.append(Zygote(followed, tmp_path / "worker.log"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def final_state_equals_the_source(follow: Follow, seed: int, statements: int) -> None:
    followed = follow(*TABLES, sql=SCHEMA, max_rows=500)
    writers = random_writes(followed, seed, statements, columns=True)
    while any(writer.is_alive() for writer in writers):
        followed.catch_up()
    touch(followed)
    followed.catch_up()
    assert_same_state(followed)


def test_final_state_equals_the_source(follow: Follow) -> None:
    final_state_equals_the_source(follow, 1, 1500)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [11, 12, 13])
def test_final_state_equals_the_source_long(follow: Follow, seed: int) -> None:
    final_state_equals_the_source(follow, seed, 70_000)


def killed_at_random(
    follow: Follow, zygote: Callable[[Followed], Zygote], kills: int, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    # So few bytes that the load is many commits, between which it is killed.
    followed = follow(*TABLES, sql=SCHEMA, max_rows=200, max_bytes=131_072)
    followed.sql("insert into things (id, v) select g, nextval('version') "
                 "from generate_series(1000, 30000) g")  # fmt: skip
    killer = zygote(followed)
    for _ in range(max(kills // 10, 1)):
        killer.run_for(chance.uniform(0.3, 1.5))  # within the load, more often than not
    followed.catch_up()
    assert_same_history(followed)
    writers = random_writes(followed, seed, 10**9, pause_s=0.002)
    for _ in range(kills):
        killer.run_for(chance.uniform(0.3, 4.0))
    for writer in writers:
        writer.stopping.set()
        writer.join()
    followed.catch_up()
    assert_same_history(followed)
    assert_same_state(followed)


def test_killed_at_random(follow: Follow, zygote: Callable[[Followed], Zygote]) -> None:
    killed_at_random(follow, zygote, 2, 1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_random_fifty_times(follow: Follow, zygote: Callable[[Followed], Zygote]) -> None:
    killed_at_random(follow, zygote, 50, 2)
