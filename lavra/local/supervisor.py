"""Starts programs, watches over them, and ends them in reverse order.

What happens when:

- the supervisor ends, by itself or by SIGINT, SIGTERM or SIGHUP: everything is ended, last
  started first, asked and then killed;
- the supervisor is killed: the guardian does the same (:mod:`lavra.local.guardian`);
- a server dies: it is started again after 1, 2, 4 ... seconds. When it died
  :data:`MAX_RESTARTS` times without running for :data:`STABLE_S` in between, everything stops
  with the end of its log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lavra.errors import ProcessError
from lavra.local.processes import MARK, Child, kill_group, tail
from lavra.local.run_file import RunFile, RunState
from lavra.local.steps import Cancelled, Observer

MAX_RESTARTS = 5
STABLE_S = 60.0
MAX_BACKOFF_S = 30.0
READY_POLL_S = 0.1


@dataclass
class Server:
    """A program that is to run for as long as the supervisor does."""

    name: str
    title: str
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    child: Child | None = None
    deaths: int = 0
    restart_at: float | None = None


@dataclass
class Supervisor:
    """The programs of one `lavra up`.

    Args:
        run_file: Held by the caller.
        logs: The folder of the logs.
        cwd: Where programs start.
        observer: Told of what a person should know.
        state: What the run file says; written anew whenever a program starts or ends.
    """

    run_file: RunFile
    logs: Path
    cwd: Path
    observer: Observer
    state: RunState = field(default_factory=RunState)

    def __post_init__(self) -> None:
        self._children: list[Child] = []
        self._servers: list[Server] = []
        self._lock = threading.RLock()
        self._stopping = False
        self._guardian: subprocess.Popen[bytes] | None = None

    def start_guardian(self) -> None:
        """Start the guardian, or start it again if it died."""
        if self._guardian is not None and self._guardian.poll() is None:
            return
        self._guardian = subprocess.Popen(
            [sys.executable, "-m", "lavra.local.guardian", str(self.run_file.state)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", start_new_session=True,
        )  # fmt: skip

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a program: ours, the mark, plain output, and ``more``."""
        plain = {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "160"}
        return {**os.environ, **plain, MARK: str(self.run_file.state), **(more or {})}

    def log_of(self, name: str) -> Path:
        """Return the log of a program or step."""
        return self.logs / f"{name}.log"

    def run_program(self, name: str, command: Sequence[str], more: Mapping[str, str]) -> None:
        """Run a program to its end.

        Raises:
            ProcessError: it failed; the message holds the end of its log.
            Cancelled: everything is being stopped.
        """
        child = self._start(name, command, more)
        code = child.wait()
        self._forget(child)
        if self._stopping:
            raise Cancelled("Stopped.")
        if code != 0:
            raise _failure(name, code, child.log)

    def launch(self, server: Server) -> None:
        """Start a server without waiting for it."""
        server.child = self._start(server.name, server.command, server.environment)
        with self._lock:
            if server not in self._servers:
                self._servers.append(server)

    def wait_until_ready(self, server: Server, timeout_s: float) -> None:
        """Wait until a launched server answers.

        Raises:
            ProcessError: it died first, or the time is up; the message holds the end of its log.
            Cancelled: everything is being stopped.
        """
        deadline = time.monotonic() + timeout_s
        child = server.child
        if child is None:
            msg = f"{server.name} was not launched"
            raise ValueError(msg)
        while not server.is_ready():
            if self._stopping:
                raise Cancelled("Stopped.")
            if (code := child.returncode) is not None:
                raise _failure(server.name, code, child.log)
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"{server.title} did not answer within {timeout_s:.0f} s. The end of "
                    f"{child.log}:\n{_end_of(child.log)}",
                    remedy="`lavra doctor` checks this machine.",
                )
            time.sleep(READY_POLL_S)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for something; return whether it came true in time.

        Raises:
            Cancelled: everything is being stopped.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self._stopping:
                raise Cancelled("Stopped.")
            if time.monotonic() > deadline:
                return False
            time.sleep(READY_POLL_S)
        return True

    def watch(self) -> None:
        """Start again what died. To be called every half second or so.

        Raises:
            ProcessError: a server keeps dying.
        """
        self.start_guardian()
        for server in list(self._servers):
            child = server.child
            if child is None or child.returncode is None:
                self._forgive(server)
                continue
            if server.restart_at is None:
                self._note_death(server, child)
            elif time.monotonic() >= server.restart_at:
                server.restart_at = None
                self.launch(server)
                self.notice(f"{server.title} started again.")

    def notice(self, text: str) -> None:
        """Tell a person something."""
        self.observer({"type": "notice", "text": text})

    def write_state(self) -> None:
        """Write the run file."""
        with self._lock:
            self.state.processes = [child.record() for child in self._children]
            self.run_file.write(self.state)

    def stop_all(self) -> None:
        """End everything that was started, last first, and then the guardian."""
        with self._lock:
            self._stopping = True
            children = list(self._children)
        for child in reversed(children):
            child.stop()
            self._forget(child)
        if self._guardian is not None and self._guardian.stdin is not None:
            try:
                self._guardian.stdin.write(b"bye")
                self._guardian.stdin.close()
            except BrokenPipeError:
                self.notice("The guardian had ended before.")
            self._guardian.wait()
            self._guardian = None

    def kill_now(self) -> None:
        """Kill everything without asking, as on a second Ctrl-C."""
        for child in list(self._children):
            kill_group(child.pid, signal.SIGKILL)

    def _start(self, name: str, command: Sequence[str], more: Mapping[str, str]) -> Child:
        with self._lock:
            if self._stopping:
                raise Cancelled("Stopped.")
            child = Child(
                name, command, log=self.log_of(name),
                environment=self.environment(more), cwd=self.cwd,
            )  # fmt: skip
            self._children.append(child)
            self.write_state()
            return child

    def _forget(self, child: Child) -> None:
        with self._lock:
            if child in self._children:
                self._children.remove(child)
            self.write_state()

    def _note_death(self, server: Server, child: Child) -> None:
        child.wait()  # ends what is left of its group
        self._forget(child)
        server.deaths += 1
        if server.deaths > MAX_RESTARTS:
            raise _failure(server.name, child.returncode or 0, child.log)
        pause_s = min(MAX_BACKOFF_S, 2.0 ** (server.deaths - 1))
        server.restart_at = time.monotonic() + pause_s
        last = "".join(tail(child.log)) or "it wrote nothing"
        self.notice(
            f"{server.title} {_ended(child.returncode or 0)}: {last} (log: {child.log}). "
            f"It is started again in {pause_s:.0f} s."
        )

    @staticmethod
    def _forgive(server: Server) -> None:
        child = server.child
        if server.deaths and child and time.monotonic() - child.started > STABLE_S:
            server.deaths = 0


def _ended(code: int) -> str:
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"ended with status {code}"


def _failure(name: str, code: int, log: Path) -> ProcessError:
    return ProcessError(
        f"{name} {_ended(code)}. The end of {log}:\n{_end_of(log)}",
        remedy=f"The whole output is in {log}.",
    )


def _end_of(log: Path) -> str:
    return "\n".join(f"  | {line}" for line in tail(log, 12)) or "  | (it wrote nothing)"
