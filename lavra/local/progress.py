"""What a person sees while the lake starts: a live list in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lavra.local.processes import tail

_SIGNS = {"done": "[green]ok[/]", "failed": "[red]failed[/]", "skipped": "[yellow]skipped[/]"}


class EventFile:
    """Appends events to a file, one JSON object a line, for another process to follow."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w")

    def handle(self, event: dict[str, Any]) -> None:
        """Write one event; it is readable at once."""
        self._file.write(json.dumps({"at": time.time(), **event}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def follow_events(
    path: Path, handle: Callable[[dict[str, Any]], None], finished: Callable[[], bool]
) -> None:
    """Hand each event of a growing file on, until ``finished`` and all are read."""
    position = 0
    while True:
        last = finished()
        with contextlib.suppress(FileNotFoundError), path.open() as stream:
            stream.seek(position)
            while (line := stream.readline()).endswith("\n"):
                position = stream.tell()
                handle(json.loads(line))
        if last:
            return
        time.sleep(0.1)


class Display:
    """Shows steps as they run; everything else as lines. Survives a closed terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._steps: dict[str, dict[str, Any]] = {}
        self._since: dict[str, float] = {}
        self._spinners: dict[str, Spinner] = {}
        self._lock = threading.Lock()
        self._live: Live | None = None
        if console.is_terminal:
            self._live = Live(
                get_renderable=self._render, console=console, refresh_per_second=4, transient=True
            )

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the live list; later events are lines."""
        live, self._live = self._live, None
        if live:
            with contextlib.suppress(OSError):
                live.stop()

    def handle(self, event: dict[str, Any]) -> None:
        """Show one event."""
        with contextlib.suppress(OSError), self._lock:  # OSError: the terminal was closed
            if event["type"] == "step":
                self._handle_step(event)
            elif event["type"] in {"notice", "refreshed"}:
                self._print(escape(event["text"]))
            elif event["type"] == "ready":
                self._handle_ready(event)

    def _handle_step(self, event: dict[str, Any]) -> None:
        name, state = event["name"], event["state"]
        self._steps[name] = event
        if state == "running":
            self._since[name] = time.monotonic()
            if not self._live:
                self._print(f"{event['title']} ...")
            return
        elapsed = f"{event['elapsed_s']:.1f} s" if "elapsed_s" in event else ""
        detail = f"  [dim]{escape(event['detail'])}[/]" if event.get("detail") else ""
        self._print(f"{_SIGNS[state]} {event['title']} [dim]{elapsed}[/]{detail}")
        if state == "failed" and event.get("log"):
            log = Path(event["log"])
            for line in tail(log, 1):
                self._print(f"   last line of {log}: {escape(line)}")

    def _handle_ready(self, event: dict[str, Any]) -> None:
        snapshot = event["snapshot"]
        lines = Table.grid(padding=(0, 2))
        if event["superset_url"]:
            lines.add_row("Dashboards", event["superset_url"])
        if event["login"]:
            user, password = event["login"]
            lines.add_row("  log in as", f"{escape(user)} / {escape(password)}")
        lines.add_row("Query service", f"{event['service_url']}  (its API: /docs)")
        lines.add_row("  who may ask", "programs on this machine, without a key; others need one")
        through = snapshot.get("data_through") or "unknown"
        lines.add_row(
            "Serving", f"release {snapshot['id']}, {event['tables']} tables, data through {through}"
        )
        self._print("[bold green]Ready.[/]")
        self._console.print(lines)
        if event["sample"]:
            body = json.dumps({"sql": event["sample"]})
            self._console.print("Try it:", style="bold")
            self._console.print(
                f"  curl -s {event['service_url']}/v1/sql -H 'Content-Type: application/json' "
                f"-d '{body}'",
                soft_wrap=True, markup=False,
            )  # fmt: skip
        if event["awaits"]:
            self._print(
                f"Release {event['awaits']} is still being loaded; the query service answers "
                "from it as soon as that is done."
            )
        if event["refreshes"]:
            self._print("New data is being landed and the models run; this continues below.")

    def _print(self, text: str) -> None:
        stamp = f"[dim]{time.monotonic() - self._began:6.1f} s[/] "
        self._console.print(stamp + text, soft_wrap=True)

    def _render(self) -> RenderableType:
        # No lock here: the thread that draws must never wait for one that prints.
        rows: list[RenderableType] = []
        running = [e for e in list(self._steps.values()) if e["state"] == "running"]
        for event in running:
            name = event["name"]
            spinner = self._spinners.setdefault(name, Spinner("dots"))
            spent = time.monotonic() - self._since[name]
            last = tail(Path(event["log"])) if event.get("log") else []
            row = Table.grid(padding=(0, 1))
            row.add_row(
                spinner,
                Text(event["title"]),
                Text(f"{spent:.0f} s", style="dim"),
                Text(last[0][:70] if last else "", style="dim", no_wrap=True, overflow="ellipsis"),
            )
            rows.append(row)
        return Group(*rows)
