"""What is known of a running `lavra up`: one lock, one file, and how leftovers are cleared.

``<state>/run/up.lock`` is locked for as long as a supervisor lives: the lock dies with it, so it
alone decides whether one runs. ``up.json`` beside it says where; ``events.jsonl`` tells what
happened since it started, for `--detach` to show and `lavra status` to read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lavra.errors import ProcessError
from lavra.local.processes import ProcessRecord, created_at, is_alive, stop_recorded, sweep
from lavra.settings import Settings, load_settings

CLEARING_TIMEOUT_S = 45.0
"""How long a new start waits for the guardian of a killed one to finish."""


@dataclass
class RunState:
    """The run file's content."""

    pid: int = field(default_factory=os.getpid)
    created: float = field(default_factory=lambda: created_at(os.getpid()))
    started_at: str = ""
    phase: str = "starting"
    """``starting``, ``ready`` or ``stopping``."""
    service_url: str = ""
    superset_url: str = ""
    refresh: str = ""
    """How the landing and the models of this start went: ``running``, ``done`` or ``failed: ...``;
    empty when they have not begun."""
    processes: list[ProcessRecord] = field(default_factory=list)


class RunFile:
    """The folder ``run/`` of a state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "run"
        self.events = self.folder / "events.jsonl"
        self._file = self.folder / "up.json"
        self._lock = self.folder / "up.lock"

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Be the one supervisor of this state folder for the block; clear leftovers first.

        Raises:
            ProcessError: another one runs; the message says where.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + CLEARING_TIMEOUT_S
        with self._lock.open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    running = self.read()
                    alive = running is not None and is_alive(running.pid, running.created)
                    if alive or time.monotonic() > deadline:
                        raise ProcessError(
                            _already(running), remedy="`lavra down` stops it."
                        ) from None
                    time.sleep(0.2)  # a guardian clears up after a killed supervisor
            self.clear_leftovers()
            try:
                yield
            finally:
                self._file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def hold_to_clear(self) -> Iterator[bool]:
        """Take the lock if no supervisor has it; the block is told whether that worked."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def is_held(self) -> bool:
        """Whether a supervisor (or a guardian clearing up after one) runs now."""
        if not self._lock.exists():
            return False
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def refuse_if_running(self) -> None:
        """Raise a ProcessError that says where, if a supervisor runs now."""
        running = self.running()
        if running is not None and is_alive(running.pid, running.created):
            raise ProcessError(_already(running), remedy="`lavra down` stops it.")

    def write(self, state: RunState) -> None:
        """Replace the file in one step."""
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(state), indent=1))
        temporary.replace(self._file)

    def read(self) -> RunState | None:
        """Return the file's content; None if there is none, or none that can be read."""
        try:
            values: dict[str, Any] = json.loads(self._file.read_text())
            processes = [ProcessRecord(**record) for record in values.pop("processes")]
            return RunState(**values, processes=processes)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def running(self) -> RunState | None:
        """Return the state of the supervisor that runs now, if one does."""
        return self.read() if self.is_held() else None

    def clear_leftovers(self) -> list[str]:
        """End whatever a killed supervisor left; the caller holds the lock.

        Returns:
            The names of the programs that still ran.
        """
        left = self.read()
        names = stop_recorded(left.processes) if left else []
        names += sweep(self.state)
        self._file.unlink(missing_ok=True)
        return names


def as_running(settings: Settings) -> Settings:
    """Return the settings with the ports that a running `lavra up` was started with."""
    running = RunFile(settings.state).running()
    if running is None:
        return settings
    urls = {"service_port": running.service_url, "superset_port": running.superset_url}
    ports = {name: urlsplit(url).port for name, url in urls.items() if url}
    return load_settings(settings.project, state_dir=settings.state, **ports)


def _already(running: RunState | None) -> str:
    if running is None:
        return "`lavra up` runs here already."
    where = ", ".join(url for url in (running.service_url, running.superset_url) if url)
    return (
        f"`lavra up` runs here already: process {running.pid}, {running.phase}, started "
        f"{running.started_at}{', at ' + where if where else ''}."
    )
