"""Programs started on this machine: each in a process group of its own, its output in a log.

Everything started here carries the variable :data:`MARK`, so that what a killed supervisor left
behind can be found even if it was never written down.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lavra.errors import ProcessError

MARK = "_LAVRA_UP"
"""Environment variable of everything `lavra up` starts; its value is the state folder."""

GRACE_S = 15.0
"""Time between asking a group to end and killing it."""

_POLL_S = 0.05
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass(frozen=True)
class ProcessRecord:
    """A started program as the run file keeps it; ``created`` guards against a reused pid."""

    name: str
    pid: int
    created: float
    log: str


class Child:
    """A program started in a session of its own; its group is named by its pid.

    A Ctrl-C in the terminal does not reach it: the supervisor decides in which order things end.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        cwd: Path,
    ) -> None:
        self.name, self.command, self.log = name, list(command), log
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(log.with_suffix(".previous.log"))
        with log.open("wb") as output:
            try:
                self._popen = subprocess.Popen(
                    self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    cwd=cwd, env=dict(environment), start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise ProcessError(
                    f"Cannot run {command[0]}: {error.strerror or error}.",
                    remedy="`lavra doctor` checks what is installed.",
                ) from error
        self._waiting = threading.Lock()
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's id too."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status (negative: the signal that killed it), None while it runs."""
        with self._waiting:
            return self._popen.poll()

    def record(self) -> ProcessRecord:
        """Return what the run file keeps of it."""
        return ProcessRecord(self.name, self.pid, created_at(self.pid), str(self.log))

    def wait(self) -> int:
        """Wait until it ends, end what it left in its group, and return its exit status."""
        while (code := self.returncode) is None:
            time.sleep(_POLL_S)
        kill_group(self.pid, signal.SIGKILL)
        return code

    def stop(self, grace_s: float = GRACE_S) -> None:
        """End it and its group: asked first, killed after ``grace_s``. Safe to call twice."""
        if self.returncode is None:
            kill_group(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while self.returncode is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        kill_group(self.pid, signal.SIGKILL)
        while self.returncode is None:
            time.sleep(_POLL_S)


def created_at(pid: int) -> float:
    """Return when a process was created, in seconds since the epoch; 0 if it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def is_alive(pid: int, created: float) -> bool:
    """Whether the process that had this pid and creation time still runs."""
    try:
        process = psutil.Process(pid)
        return (
            abs(process.create_time() - created) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False


def kill_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; one that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for zombies
        os.killpg(pid, number)


def group_exists(pid: int) -> bool:
    """Whether any process is in the group named ``pid``."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return psutil.pid_exists(pid)
    return True


def stop_recorded(records: Sequence[ProcessRecord], grace_s: float = GRACE_S) -> list[str]:
    """End recorded programs of a supervisor that is gone, last started first.

    A pid that now belongs to another program is left alone.

    Returns:
        The names of those that still ran.
    """
    ours = [
        record
        for record in reversed(records)
        if is_alive(record.pid, record.created)
        # The leader is gone, but its group is not: the pid cannot have been reused meanwhile.
        or (not psutil.pid_exists(record.pid) and group_exists(record.pid))
    ]
    for record in ours:
        kill_group(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(
        is_alive(record.pid, record.created) for record in ours
    ):
        time.sleep(_POLL_S)
    for record in ours:
        kill_group(record.pid, signal.SIGKILL)
    return [record.name for record in ours]


def marked_processes(state: Path) -> list[psutil.Process]:
    """Return this user's processes that `lavra up` of this state folder started, but Postgres.

    Postgres servers count their users themselves, and may serve other programs too.
    """
    found = []
    me = os.getpid()
    for process in psutil.process_iter():
        try:
            if process.pid == me or process.uids().real != os.getuid():
                continue
            if process.environ().get(MARK) == str(state) and "postgres" not in process.name():
                found.append(process)
        except (psutil.Error, OSError):  # gone, or not ours to look into
            continue
    return found


def sweep(state: Path, *, keep: Sequence[int] = ()) -> list[str]:
    """Kill marked processes of a supervisor that is gone; return their names."""
    swept = []
    for process in marked_processes(state):
        if process.pid in keep:
            continue
        with contextlib.suppress(psutil.Error):
            swept.append(process.name())
            process.kill()
    return swept


def tail(log: Path, lines: int = 1) -> list[str]:
    """Return the last non-empty lines of a log, without colours; none if it is missing."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 16_384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    kept = [line.rstrip() for line in _ANSI.sub("\n", text).split("\n") if line.strip()]
    return kept[-lines:]


def check_port_free(host: str, port: int, what: str, option: str) -> None:
    """Make sure that ``port`` can be listened on.

    Raises:
        ProcessError: it is taken; the message names the program that holds it, where the system
            tells, and the option that chooses another port.
    """
    if not _is_taken(host, port):
        return
    raise ProcessError(
        f"Port {port}, which {what} would use, is taken by {_port_holder(port)}.",
        remedy=f"End that program, or choose another port with {option}.",
    )


def _is_taken(host: str, port: int) -> bool:
    # Both ways: a listener on all addresses does not always stop a bind to one of them.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    with socket.socket(family) as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((reach, port)) == 0:
            return True
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _port_holder(port: int) -> str:
    holder = next((p for p in _listeners() if p[0] == port), None)
    if holder is None:
        return "a program of another user"
    try:
        process = psutil.Process(holder[1])
        command = " ".join(process.cmdline())[:120] or process.name()
    except psutil.Error:
        command = "a program"
    return f"process {holder[1]} ({command})"


def _listeners() -> list[tuple[int, int]]:
    """Pairs of port and pid. macOS tells about one's own processes only, one by one."""
    found: list[tuple[Any, int | None]] = []
    try:
        found += [(c, c.pid) for c in psutil.net_connections(kind="tcp")]
    except psutil.AccessDenied:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                found += [(c, process.pid) for c in process.net_connections(kind="tcp")]
    return [
        (c.laddr.port, pid)
        for c, pid in found
        if pid is not None and c.status == psutil.CONN_LISTEN and c.laddr
    ]
