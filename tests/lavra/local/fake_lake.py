"""`lavra up` with two small servers instead of a lake: ``python fake_lake.py PROJECT [FAULT]``.

Each server writes ``<name> up`` and, asked to end, ``<name> down`` to ``order.txt``, and starts a
helper of its own in its group. FAULT: ``step`` fails a step, ``hang`` never gets ready, ``flap``
makes the second server die at once again and again, once it is needed no more.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from lavra.errors import LavraError, ProcessError
from lavra.local import supervisor as supervisor_module
from lavra.local import up
from lavra.local.lake import UpOptions
from lavra.local.progress import Display
from lavra.local.steps import Step, StepRunner
from lavra.local.supervisor import Server, Supervisor
from lavra.settings import Settings, load_settings

SERVER = """
import pathlib, signal, subprocess, sys, time
name, order, ready, fault = sys.argv[1:]
def note(what):
    with open(order, "a") as file:
        file.write(f"{name} {what}\\n")
def leave(*_):
    note("down")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
note("up")
print(f"{name} speaks", flush=True)
if fault == "flap":
    sys.exit(7)
pathlib.Path(ready).touch()
time.sleep(300)
"""


class FakeLake:
    """The part of Lake that `run` uses."""

    refreshes = False

    def __init__(
        self, settings: Settings, _options: UpOptions, supervisor: Supervisor, runner: StepRunner
    ) -> None:
        self.project, self.supervisor, self.runner = settings.project, supervisor, runner

    def server(self, name: str, fault: str) -> Server:
        ready = self.project / f"{name}.ready"
        ready.unlink(missing_ok=True)
        order = self.project / "order.txt"
        command = [sys.executable, "-c", SERVER, name, str(order), str(ready), fault]
        is_ready = ready.exists if fault != "hang" else lambda: False
        return Server(name, name.title(), command, {}, is_ready)

    def start(self, name: str) -> Any:
        def run() -> str:
            fault = FAULT if name == "second" else ""
            if fault == "step":
                raise ProcessError("the second step broke", remedy="Mend it.")
            server = self.server(name, fault)
            self.supervisor.launch(server)
            if fault != "flap":
                self.supervisor.wait_until_ready(server, 30)
            return ""

        return run

    def add_first_steps(self) -> None:
        self.runner.add(Step("catalog", "First", self.start("first")))

    def add_other_steps(self) -> None:
        self.runner.add(Step("service", "Second", self.start("second"), ("catalog",)))

    def steps_until_ready(self) -> tuple[str, ...]:
        return ("service",)

    def describe(self) -> dict[str, Any]:
        return {
            "type": "ready", "refreshes": False, "superset_url": "", "login": ["admin", "secret"],
            "service_url": "http://127.0.0.1:1", "snapshot": {"id": "7"}, "tables": 3,
            "sample": "select * from gold_shop.sales limit 3", "awaits": None,
        }  # fmt: skip

    def keep_catalog_running(self) -> None:
        pass

    def close(self) -> None:
        pass


if __name__ == "__main__":
    FAULT = sys.argv[2] if len(sys.argv) > 2 else ""
    up.Lake = FakeLake  # type: ignore[assignment,misc]
    up._WATCH_S = 0.05
    if FAULT == "flap":
        supervisor_module.MAX_RESTARTS, supervisor_module.MAX_BACKOFF_S = 2, 0.1
    try:
        options = UpOptions(superset=False)
        settings = load_settings(Path(sys.argv[1]))
        if sys.stdout.isatty():
            with Display(Console(force_terminal=True, width=120)) as display:
                up.run(settings, options, display.handle)
        else:
            up.run(settings, options, lambda e: print(e, flush=True))
    except LavraError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
