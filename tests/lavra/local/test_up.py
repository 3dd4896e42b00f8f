"""The life of `lavra up`, played with small programs: start, stop, kills, a second start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lavra.errors import ProcessError
from lavra.local.processes import marked_processes
from lavra.local.run_file import RunFile, RunState
from lavra.local.up import stop
from lavra.settings import Settings, load_settings
from tests.conftest import free_port

FAKE = Path(__file__).with_name("fake_lake.py")
ROOT = Path(__file__).parents[3]


class Up:
    """A running fake `lavra up`."""

    def __init__(self, settings: Settings, fault: str, port: int) -> None:
        self.settings = settings
        self.order = settings.project / "order.txt"
        self.output = settings.project / f"output-{time.monotonic_ns()}.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(FAKE), str(settings.project), fault],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(ROOT), "LAVRA_SERVICE_PORT": str(port)},
            )  # fmt: skip

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, text: str) -> None:
        wait(lambda: text in self.text(), self.text)

    def ended(self) -> int:
        return self.process.wait(30)

    def notes(self) -> list[str]:
        return self.order.read_text().splitlines()

    def programs(self) -> list[psutil.Process]:
        return marked_processes(self.settings.state)


def wait(condition: Callable[[], bool], describe: Callable[[], object] = lambda: "") -> None:
    deadline = time.monotonic() + 25
    while not condition():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.05)


@pytest.fixture
def launch(settings: Settings) -> Iterator[Callable[..., Up]]:
    """Start a fake `lavra up`; whatever is left of it after the test is killed."""
    started: list[Up] = []
    port = free_port()

    def start(fault: str = "") -> Up:
        started.append(Up(settings, fault, port))
        return started[-1]

    yield start
    for up in started:
        up.process.kill()
        up.process.wait()
    for process in marked_processes(settings.state):
        process.kill()


def guardians(settings: Settings) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter()
        if str(settings.state) in " ".join(_command(process))
        and "guardian" in " ".join(_command(process))
    ]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def assert_nothing_left(up: Up) -> None:
    wait(lambda: not up.programs(), up.programs)
    wait(lambda: not guardians(up.settings))
    assert not RunFile(up.settings.state).is_held()
    assert RunFile(up.settings.state).read() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_in_reverse_order(
    launch: Callable[..., Up], number: signal.Signals
) -> None:
    up = launch()
    up.wait_for("'ready'")
    assert len(up.programs()) == 4  # two servers, each with a helper
    up.process.send_signal(number)

    assert up.ended() == 0
    assert up.notes() == ["first up", "second up", "second down", "first down"]
    assert_nothing_left(up)


def test_an_interrupt_during_the_start_ends_everything(launch: Callable[..., Up]) -> None:
    up = launch("hang")
    wait(lambda: len(up.programs()) == 4)
    up.process.send_signal(signal.SIGINT)

    assert up.ended() == 0
    assert "second down" in up.notes()
    assert_nothing_left(up)


def test_a_failed_step_ends_the_start_with_its_reason(launch: Callable[..., Up]) -> None:
    up = launch("step")

    assert up.ended() == 1
    assert "error: the second step broke Mend it." in up.text()
    assert up.notes() == ["first up", "first down"]
    assert_nothing_left(up)


def test_after_a_kill_the_guardian_ends_everything(launch: Callable[..., Up]) -> None:
    up = launch()
    up.wait_for("'ready'")
    os.killpg(up.process.pid, signal.SIGKILL)  # its whole group, as a terminal might
    up.process.wait()

    assert_nothing_left(up)
    assert set(up.notes()[-2:]) == {"first down", "second down"}  # asked, not just killed


def test_a_start_at_once_after_a_kill_waits_for_the_guardian(launch: Callable[..., Up]) -> None:
    killed = launch()
    killed.wait_for("'ready'")
    before = {process.pid for process in killed.programs()}
    killed.process.kill()
    killed.process.wait()
    again = launch()
    again.wait_for("'ready'")

    assert len(again.programs()) == 4
    assert not before & {process.pid for process in again.programs()}


def test_with_the_guardian_killed_too_the_next_start_clears_up(launch: Callable[..., Up]) -> None:
    killed = launch()
    killed.wait_for("'ready'")
    before = {process.pid for process in killed.programs()}
    for guardian in guardians(killed.settings):
        guardian.kill()
    killed.process.kill()
    killed.process.wait()
    assert len(before) == 4
    again = launch()
    again.wait_for("'ready'")

    assert len(again.programs()) == 4
    assert not before & {process.pid for process in again.programs()}


def test_a_killed_guardian_is_replaced(launch: Callable[..., Up], settings: Settings) -> None:
    up = launch()
    up.wait_for("'ready'")
    [guardian] = guardians(settings)
    guardian.kill()
    wait(lambda: [g.pid for g in guardians(settings)] not in ([], [guardian.pid]))
    up.process.kill()
    up.process.wait()

    assert_nothing_left(up)


def test_a_second_start_says_where_the_first_runs(launch: Callable[..., Up]) -> None:
    first = launch()
    first.wait_for("'ready'")
    second = launch()

    assert second.ended() == 1
    assert f"runs here already: process {first.process.pid}, ready" in second.text()
    assert "http://127.0.0.1:" in second.text()
    assert "`lavra down` stops it" in second.text()
    assert first.process.poll() is None


def test_a_server_that_dies_is_started_again(launch: Callable[..., Up]) -> None:
    up = launch()
    up.wait_for("'ready'")
    running = RunFile(up.settings.state).running()
    assert running is not None
    os.kill(running.processes[-1].pid, signal.SIGKILL)
    up.wait_for("Second was killed by SIGKILL")
    up.wait_for("Second started again")

    wait(lambda: up.notes().count("second up") == 2)
    wait(lambda: len(up.programs()) == 4)  # the helper of the killed one is gone as well


def test_a_server_that_keeps_dying_ends_everything_with_its_log(launch: Callable[..., Up]) -> None:
    up = launch("flap")

    assert up.ended() == 1
    assert up.notes().count("second up") == 3
    assert "second ended with status 7" in up.text()
    assert "| second speaks" in up.text()
    assert_nothing_left(up)


def test_down_stops_it_and_says_what(launch: Callable[..., Up], settings: Settings) -> None:
    up = launch()
    up.wait_for("'ready'")

    assert stop(settings) == ["first", "second"]
    assert up.ended() == 0
    assert stop(settings) == []
    assert_nothing_left(up)


def test_down_clears_what_a_killed_start_left(
    launch: Callable[..., Up], settings: Settings
) -> None:
    up = launch()
    up.wait_for("'ready'")
    for guardian in guardians(settings):
        guardian.kill()
    up.process.kill()
    up.process.wait()

    assert {"first", "second"} <= set(stop(settings))
    assert_nothing_left(up)


def test_a_stale_or_broken_run_file_stops_nobody(launch: Callable[..., Up]) -> None:
    up = launch()
    folder = up.settings.state / "run"
    up.process.kill()
    up.process.wait()
    stop(up.settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "up.json").write_text('{"pid": 1, "cre')
    again = launch()
    again.wait_for("'ready'")


def test_down_in_a_project_that_never_ran(settings: Settings) -> None:
    assert stop(settings) == []
    assert not settings.state.exists()


def test_a_taken_port_is_told_before_anything_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lavra.local.lake import UpOptions
    from lavra.local.up import run

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setenv("LAVRA_SERVICE_PORT", str(listener.getsockname()[1]))
        settings = load_settings(project)
        with pytest.raises(ProcessError, match=f"process {os.getpid()}"):
            run(settings, UpOptions(superset=False), lambda _event: None)

    assert not (settings.state / "postgres").exists()
    assert not RunFile(settings.state).is_held()


def test_the_run_file_round_trips(settings: Settings) -> None:
    run_file = RunFile(settings.state)
    with run_file.hold():
        state = RunState(started_at="2026-01-01", phase="ready", refresh="done")
        run_file.write(state)

        assert run_file.read() == state
        assert run_file.running() == state
    assert run_file.running() is None
