"""Programs in groups of their own: their logs, their ends, and the ports they would take."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from lavra.errors import ProcessError
from lavra.local.processes import (
    MARK,
    Child,
    ProcessRecord,
    check_port_free,
    created_at,
    is_alive,
    marked_processes,
    stop_recorded,
    sweep,
    tail,
)
from tests.conftest import free_port

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


def start(tmp_path: Path, code: str, **environment: str) -> Child:
    return Child(
        "program", [sys.executable, "-c", code], log=tmp_path / "program.log",
        environment=os.environ | environment, cwd=tmp_path,
    )  # fmt: skip


def wait_for_output(child: Child) -> str:
    deadline = time.monotonic() + 60
    while not tail(child.log):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return tail(child.log)[0]


def test_output_of_both_kinds_is_in_the_log_and_the_earlier_log_is_kept(tmp_path: Path) -> None:
    both = "import sys; print('out'); print('err', file=sys.stderr)"
    first = start(tmp_path, "print('first')")
    assert first.wait() == 0
    second = start(tmp_path, both)

    assert second.wait() == 0
    assert sorted(tail(second.log, 5)) == ["err", "out"]
    assert tail(tmp_path / "program.previous.log") == ["first"]


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="/no/such/program"):
        Child("x", ["/no/such/program"], log=tmp_path / "x.log", environment={}, cwd=tmp_path)


def test_a_stubborn_group_is_killed_with_its_children(tmp_path: Path) -> None:
    child = start(tmp_path, STUBBORN)
    grandchild = int(wait_for_output(child))
    created = created_at(grandchild)

    child.stop(grace_s=0.3)
    child.stop(grace_s=0.3)  # twice is no error

    assert child.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5  # an orphan that was killed takes a moment to be gone
    while is_alive(grandchild, created) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(grandchild, created)


def test_what_a_finished_program_left_in_its_group_is_ended(tmp_path: Path) -> None:
    child = start(tmp_path, STUBBORN.replace("time.sleep(60)\n", "sys.exit(3)\n"))
    grandchild = int(wait_for_output(child))
    created = created_at(grandchild)

    assert child.wait() == 3
    deadline = time.monotonic() + 5
    while is_alive(grandchild, created):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_recorded_programs_are_ended_but_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    ours, other = start(tmp_path, SLEEPER), start(tmp_path, SLEEPER)
    stale = ProcessRecord("other", other.pid, created_at(other.pid) - 100, "")
    gone = ProcessRecord("gone", 2**22 - 1, 1.0, "")

    stopped = stop_recorded([ours.record(), stale, gone], grace_s=5)

    assert stopped == ["program"]
    assert ours.returncode == -signal.SIGTERM
    assert other.returncode is None
    other.stop()


def test_marked_programs_are_found_and_swept(tmp_path: Path) -> None:
    marked = start(tmp_path, SLEEPER, **{MARK: str(tmp_path)})
    elsewhere = start(tmp_path, SLEEPER, **{MARK: str(tmp_path / "other")})
    wait_for_output(marked)
    wait_for_output(elsewhere)

    assert [process.pid for process in marked_processes(tmp_path)] == [marked.pid]
    assert len(sweep(tmp_path)) == 1
    assert marked.wait() == -signal.SIGKILL
    assert elsewhere.returncode is None
    elsewhere.stop()


def test_tail_drops_colours_and_survives_a_missing_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"one\n\x1b[31mtwo\x1b[0m\r\n\n")

    assert [line.strip() for line in tail(log, 5)] == ["one", "two"]
    assert tail(tmp_path / "missing.log") == []


def test_a_free_port_passes() -> None:
    check_port_free("127.0.0.1", free_port(), "the service", "--service-port")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_taken_port_names_its_holder_and_the_option(address: str) -> None:
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ProcessError) as caught:
            check_port_free("127.0.0.1", port, "the service", "--service-port")

    assert f"process {os.getpid()}" in caught.value.message
    assert " ".join(psutil.Process().cmdline())[:20] in caught.value.message
    assert "--service-port" in str(caught.value)
