"""`lavra up` and `lavra down`: one start of the whole lake, from the lock to the last goodbye."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any

from lavra.errors import LavraError, ProcessError
from lavra.local.lake import Lake, UpOptions
from lavra.local.postgres_servers import stop_unused_servers
from lavra.local.processes import check_port_free, is_alive
from lavra.local.progress import EventFile, follow_events
from lavra.local.run_file import RunFile, RunState
from lavra.local.steps import Cancelled, Observer, StepRunner
from lavra.local.supervisor import Supervisor

if TYPE_CHECKING:
    from lavra.settings import Settings

STOP_TIMEOUT_S = 60.0
_WATCH_S = 0.5
_CATALOG_WATCH_S = 5.0


def run(settings: Settings, options: UpOptions, observer: Observer) -> bool:
    """Run the lake until a signal stops it.

    Args:
        settings: Of the project.
        options: What a person chose.
        observer: Told of steps, of readiness (``{"type": "ready", ...}``), and of the end.

    Returns:
        Whether it was ready before it was stopped.

    Raises:
        LavraError: it could not start, or could not go on; everything has been stopped.
    """
    run_file = RunFile(settings.state)
    with run_file.hold():
        _check_ports(settings, options)
        events = EventFile(run_file.events)

        def tell(event: dict[str, Any]) -> None:
            events.handle(event)
            observer(event)

        state = RunState(
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            service_url=settings.resolved_service_url,
            superset_url=_superset_url(settings) if options.superset else "",
        )
        supervisor = Supervisor(
            run_file, settings.state / "logs", settings.project, tell, state=state
        )
        try:
            return _run(settings, options, supervisor, tell)
        except LavraError as error:
            tell({"type": "failed", "message": error.message, "remedy": error.remedy})
            raise
        finally:
            tell({"type": "stopped"})
            events.close()


def _run(settings: Settings, options: UpOptions, supervisor: Supervisor, tell: Observer) -> bool:
    runner = StepRunner(tell)
    stop = threading.Event()
    ready = False
    with _signals(stop, supervisor.kill_now):
        supervisor.start_guardian()
        lake = Lake(settings, options, supervisor, runner)
        try:
            supervisor.write_state()
            lake.add_first_steps()
            _wait(runner, stop, "catalog")
            lake.add_other_steps()
            _wait(runner, stop, *lake.steps_until_ready())
            supervisor.state.phase = "ready"
            supervisor.state.refresh = "running" if lake.refreshes else "done"
            supervisor.write_state()
            tell(lake.describe())
            ready = True
            _watch(lake, stop)
        except Cancelled:
            pass  # a signal: an orderly end, not a failure
        finally:
            tell({"type": "notice", "text": "Stopping ..."})
            supervisor.state.phase = "stopping"
            supervisor.write_state()
            runner.cancel()
            supervisor.stop_all()
            lake.close()
            stop_unused_servers(settings.state)
    return ready


def _wait(runner: StepRunner, stop: threading.Event, *names: str) -> None:
    """Wait for steps. Any failed one ends the wait, needed or not: the start has failed."""
    while not runner.wait(*names, timeout_s=0.1):
        if stop.is_set():
            raise Cancelled("Stopped.")
        runner.raise_failure()


def _watch(lake: Lake, stop: threading.Event) -> None:
    """Keep what runs running until a signal comes."""
    supervisor = lake.supervisor
    catalog_at = time.monotonic()
    while not stop.wait(_WATCH_S):
        supervisor.watch()
        if supervisor.state.refresh == "running":
            _follow_refresh(lake)
        if time.monotonic() - catalog_at > _CATALOG_WATCH_S:
            catalog_at = time.monotonic()
            lake.keep_catalog_running()


def _follow_refresh(lake: Lake) -> None:
    """Tell how the landing and the models of a later start end; neither stops the lake."""
    supervisor, runner = lake.supervisor, lake.runner
    error = runner.error("models")
    if error is None and runner.state("models") != "done":
        return
    if error is None:
        supervisor.state.refresh, text = "done", "The lake is up to date."
    else:
        supervisor.state.refresh = f"failed: {error.message}"
        text = f"The refresh failed; the last release stays. {error}"
    supervisor.write_state()
    supervisor.observer({"type": "refreshed", "text": text, "failed": error is not None})


def start_detached(settings: Settings, options: list[str], observer: Observer) -> None:
    """Start the lake in the background and wait until it is ready and up to date.

    Args:
        settings: Of the project.
        options: Arguments of `lavra up` to hand on.
        observer: Told of what the background process tells.

    Raises:
        ProcessError: it ended before it was ready; the message says why.
    """
    run_file = RunFile(settings.state)
    run_file.refuse_if_running()
    run_file.events.unlink(missing_ok=True)
    log = settings.state / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        background = subprocess.Popen(
            [sys.executable, "-m", "lavra", "up", "--background", *options],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=settings.project,
            env={**os.environ, "LAVRA_PROJECT": str(settings.project)}, start_new_session=True,
        )  # fmt: skip
    seen: dict[str, dict[str, Any]] = {}

    def handle(event: dict[str, Any]) -> None:
        seen[event["type"]] = event
        observer(event)

    def finished() -> bool:
        settled = "ready" in seen and (not seen["ready"]["refreshes"] or "refreshed" in seen)
        return settled or background.poll() is not None

    try:
        follow_events(run_file.events, handle, finished)
    except KeyboardInterrupt:
        background.terminate()
        background.wait()
        raise
    if background.poll() is None:
        return
    failure = seen.get("failed")
    if failure:
        raise ProcessError(failure["message"], remedy=failure["remedy"])
    text = log.read_text(errors="replace").strip()
    raise ProcessError(text.removeprefix("error: ") or f"The start was stopped; see {log}.")


def stop(settings: Settings, *, timeout_s: float = STOP_TIMEOUT_S) -> list[str]:
    """Stop a running lake, or clear what a killed one left.

    Returns:
        What was stopped, for a person; empty if nothing ran.

    Raises:
        ProcessError: it did not end in time, even after a kill.
    """
    run_file = RunFile(settings.state)
    if not settings.state.exists():
        return []
    with run_file.hold_to_clear() as held:
        if held:
            names = run_file.clear_leftovers()
            return names + [f"Postgres in {path}" for path in stop_unused_servers(settings.state)]
    running = run_file.read()
    if running is None:
        raise ProcessError(
            "A start is just beginning or ending.", remedy="Try again in a few seconds."
        )
    names = [record.name for record in running.processes] or ["the start"]
    for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, 20.0)):
        if is_alive(running.pid, running.created):
            os.kill(running.pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            # The lock goes first; the last words, and the catalog's end, come after it.
            if not run_file.is_held() and not is_alive(running.pid, running.created):
                return names
            time.sleep(0.1)
    raise ProcessError(f"Process {running.pid} of `lavra up` does not end.")


def _check_ports(settings: Settings, options: UpOptions) -> None:
    check_port_free(
        settings.service_host, settings.service_port, "the query service", "--service-port"
    )
    if options.superset:
        check_port_free(
            settings.superset_host, settings.superset_port, "Superset", "--superset-port"
        )
    if options.generators:
        check_port_free(
            settings.generator_host, settings.generator_port, "the generator",
            "LAVRA_GENERATOR_PORT",
        )  # fmt: skip


def _superset_url(settings: Settings) -> str:
    return f"http://{settings.superset_host}:{settings.superset_port}"


@contextlib.contextmanager
def _signals(stop: threading.Event, kill_now: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP set ``stop``; a second one kills without asking."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            kill_now()
        stop.set()

    previous = {n: signal.signal(n, handle) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
