"""Engine processes: killed and replaced, their neighbours undisturbed, nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
import uvloop

from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import servable_schema, write_segment
from query_service.engine.executor import ExecutorOptions
from query_service.engine.jobs import Chunk, Failed, Finished, Job, Whole
from query_service.engine.pool import ProcessPool

ROWS = 200_000
EXPLODING = "select count(*) from g.t a, g.t b, g.t c where a.id + b.id + c.id < 0"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pool")
    table = pa.table(
        {"id": range(ROWS), "k": [i % 7 for i in range(ROWS)], "s": [f"s{i}" for i in range(ROWS)]}
    )
    schema = servable_schema(table.schema)
    segment = folder / "t.seg"
    write_segment(segment, schema, table.to_batches(32_768))
    held = CachedTable("g", "t", schema, (str(segment),), segment.stat().st_size, ROWS)
    write_release_file(folder / "release.json", [held])
    return str(folder / "release.json")


@asynccontextmanager
async def pool(folder: Path, count: int = 2, megabytes: int = 64) -> AsyncIterator[ProcessPool]:
    opened = ProcessPool(ExecutorOptions(megabytes << 20, str(folder / "spill"), 2), count)
    await opened.start()
    try:
        yield opened
    finally:
        pids = opened.pids
        await opened.close()
        assert not any(psutil.pid_exists(pid) for pid in pids)
        assert not (folder / "spill").exists()


async def run(engine: ProcessPool, release: str, sql: str, **job: Any) -> tuple[bytes, Any]:
    data, last = b"", None
    async for event in engine.run(Job("q", release, sql, **job)):
        if isinstance(event, Whole):
            return event.data, event.finished
        if isinstance(event, Chunk):
            data += event.data
        last = event
    return data, last


async def until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    for _ in iter(condition, True):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_a_runaway_query_is_gone_within_a_second(release: str, tmp_path: Path) -> None:
    """The best of a few counts: the machine may have other things to do."""
    took = []

    async def scenario() -> None:
        async with pool(tmp_path) as engine:
            for _ in range(3):
                before = engine.pids
                stream = engine.run(Job("q", release, EXPLODING))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5), aclosing(stream):
                        async for _ in stream:
                            pass
                given_up = time.monotonic()
                neighbour = asyncio.create_task(run(engine, release, "select count(*) from g.t"))
                await until(lambda b=before: not all(map(psutil.pid_exists, b)), 60)
                took.append(time.monotonic() - given_up)
                data, last = await neighbour
                assert b"[200000]" in data
                assert last == Finished(1, False)
                await until(lambda b=before: len(engine.pids) == 3 and engine.pids != b, 60)

    asyncio.run(scenario())
    assert min(took) < 1


def test_an_engine_killed_from_outside_is_replaced(release: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, count=1) as engine:
            before = list(engine._workers)
            query = asyncio.create_task(run(engine, release, EXPLODING))
            await asyncio.sleep(0.3)
            for worker in before:
                os.kill(worker.pid, signal.SIGKILL)
            _, last = await query
            assert isinstance(last, Failed)
            await until(lambda: all(worker.connection.ended for worker in before), 60)
            for _ in range(3):
                data, last = await run(engine, release, "select max(id) from g.t")
                assert b"[199999]" in data

    asyncio.run(scenario())


def test_a_query_given_up_while_its_engine_is_buried_costs_no_engine(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, count=1) as engine:
            burying, go_on = asyncio.Event(), asyncio.Event()
            kill = engine._kill

            async def slow(worker: Any) -> int:
                burying.set()
                await go_on.wait()
                return await kill(worker)

            monkeypatch.setattr(engine, "_kill", slow)
            before = engine.pids
            query = asyncio.create_task(run(engine, release, EXPLODING))
            await asyncio.sleep(0.3)
            busy = next(worker.pid for worker in engine._workers if worker.busy)
            os.kill(busy, signal.SIGKILL)
            await burying.wait()
            query.cancel()
            await asyncio.wait({query})
            assert query.cancelled()
            go_on.set()
            await until(lambda: len(engine.pids) == len(before) and busy not in engine.pids, 60)
            data, _ = await run(engine, release, "select max(id) from g.t")
            assert b"[199999]" in data

    asyncio.run(scenario())


def test_an_answer_of_the_zygote_reaches_who_asked(release: str, tmp_path: Path) -> None:
    """A caller that is cancelled between question and answer leaves no answer for the next one."""

    async def scenario() -> None:
        async with pool(tmp_path, count=2) as engine:
            for pid in engine.pids[:2]:
                asking = asyncio.create_task(engine._zygote.kill(pid))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                asking.cancel()
            assert await engine._zygote.kill(engine.pids[2]) == -signal.SIGKILL
            assert await engine._zygote.kill(1) == 0  # of a process that is not its child
            data, _ = await run(engine, release, "select max(id) from g.t")
            assert b"[199999]" in data

    asyncio.run(scenario())


def test_with_the_zygote_its_engines_die_and_others_come(release: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, count=1) as engine:
            before = engine.pids
            query = asyncio.create_task(run(engine, release, EXPLODING))
            await asyncio.sleep(0.3)
            zygote = engine._zygote.pid
            assert zygote
            os.kill(zygote, signal.SIGKILL)
            _, last = await query
            assert isinstance(last, Failed)
            data, _ = await run(engine, release, "select max(id) from g.t")
            assert b"[199999]" in data
            await engine.cancel("nobody's")
            await until(lambda: len(engine.pids) == 2, 60)
            assert not set(engine.pids) & set(before)
            assert engine._zygote.pid != zygote

    asyncio.run(scenario())


def test_an_engine_that_cannot_start_is_tried_again(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, count=1) as engine:
            pair, failures = socket.socketpair, iter([True, True])

            def scarce(*arguments: Any) -> Any:
                if next(failures, False):
                    raise OSError(errno.EMFILE, "Too many open files")
                return pair(*arguments)

            monkeypatch.setattr("query_service.engine.pool.socket.socketpair", scarce)
            for pid in engine.pids:
                os.kill(pid, signal.SIGKILL)
            await until(lambda: all(w.connection.ended for w in engine._workers), 60)
            data, _ = await run(engine, release, "select max(id) from g.t")
            assert b"[199999]" in data
            await until(lambda: len(engine.pids) == 2, 60)
            assert "Too many open files" in caplog.text

    asyncio.run(scenario())


def test_releases_that_are_gone_and_engines_that_died_stop_no_refresh(
    release: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with pool(tmp_path) as engine:
            before = engine.pids
            await engine.prepare(str(tmp_path / "deleted already.json"))
            for _ in before:
                data, _ = await run(engine, release, "select max(id) from g.t")
                assert b"[199999]" in data
            assert engine.pids == before
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            await until(lambda: all(w.connection.ended for w in engine._workers), 60)
            await engine.prepare(release)
            await engine.keep_only({release})
            data, _ = await run(engine, release, "select min(id) from g.t")
            assert b"[0]" in data

    # The service's own loop: its transports raise when something is sent after their end.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_a_join_over_budget_says_so_and_aggregates_spill(release: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, count=1, megabytes=6) as engine:
            sql = "select max(a.s || b.s) from g.t a join g.t b on a.id = b.id + 1"
            _, last = await run(engine, release, sql)
            assert isinstance(last, Failed)
            assert last.code == "resources_exhausted"
            data, last = await run(
                engine, release, "select count(*) from (select s, max(id) from g.t group by s)"
            )
            assert b"[200000]" in data

    asyncio.run(scenario())


def mapped_by(pids: list[int]) -> str:
    """Return the memory maps of processes: the files of every extension module are in them."""
    return "".join(Path(f"/proc/{pid}/maps").read_text() for pid in pids)


def test_private_memory_of_an_engine_is_small(release: str, tmp_path: Path) -> None:
    from query_service.engine.memory import anonymous_bytes

    async def scenario() -> str:
        async with pool(tmp_path, count=1) as engine:
            base = {pid: anonymous_bytes(pid) for pid in engine.pids}
            for _ in range(3):
                await run(engine, release, "select k, count(*), max(s) from g.t group by k")
            held = {pid: anonymous_bytes(pid) for pid in engine.pids}
            assert max(held[pid] - base[pid] for pid in base) < 150 << 20
            return mapped_by(engine.pids)

    maps = asyncio.run(scenario())
    assert "datafusion" in maps
    assert "pandas" not in maps


def test_an_idle_engine_that_holds_much_memory_is_replaced(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("query_service.engine.pool.IDLE_BYTES", 8 << 20)

    async def scenario() -> None:
        async with pool(tmp_path, count=1) as engine:
            before = engine.pids
            await run(engine, release, "select s, max(id) from g.t group by s")
            await until(lambda: len(engine.pids) == 2 and engine.pids != before, 60)
            assert set(engine.pids) & set(before)
            data, _ = await run(engine, release, "select count(*) from g.t")
            assert b"[200000]" in data

    asyncio.run(scenario())


def test_a_killed_front_leaves_no_process(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from query_service.engine.executor import ExecutorOptions\n"
        "from query_service.engine.pool import ProcessPool\n"
        "async def main():\n"
        "    pool = ProcessPool(ExecutorOptions(64 << 20, sys.argv[1], 2), 1)\n"
        "    await pool.start()\n"
        "    print(pool._zygote.pid, *pool.pids, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    front = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "spill")], stdout=subprocess.PIPE, text=True
    )
    assert front.stdout is not None
    with front, front.stdout:
        pids = [int(pid) for pid in front.stdout.readline().split()]
        front.kill()
    assert len(pids) == 3
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
