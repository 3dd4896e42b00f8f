"""What a person sees while the lake starts."""

from __future__ import annotations

import io
import os
import pty
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from lavra.local.processes import marked_processes
from lavra.local.progress import Display, EventFile, follow_events
from lavra.local.run_file import RunFile
from lavra.settings import Settings
from tests.conftest import free_port

READY = {
    "type": "ready", "superset_url": "http://127.0.0.1:8088", "service_url": "http://127.0.0.1:8080",
    "login": ["admin", "pass[word]"], "tables": 10, "refreshes": True, "awaits": None,
    "snapshot": {"id": "3", "data_through": "2026-01-01T00:00:00Z"},
    "sample": "select * from gold_shop.sales limit 3",
}  # fmt: skip


def plain() -> tuple[Display, io.StringIO]:
    text = io.StringIO()
    return Display(Console(file=text, width=200)), text


def step(state: str, **more: Any) -> dict[str, Any]:
    return {"type": "step", "name": "models", "title": "Run the models", "state": state, **more}


def test_lines_say_what_runs_and_how_long_it_took() -> None:
    display, text = plain()
    with display:
        display.handle(step("running"))
        display.handle(step("done", elapsed_s=12.34, detail="release [3]"))
        display.handle({"type": "notice", "text": "a [bracket]"})

    lines = text.getvalue().splitlines()
    assert lines[0].endswith("Run the models ...")
    assert lines[1].endswith("ok Run the models 12.3 s  release [3]")
    assert lines[2].endswith("a [bracket]")


def test_a_failed_step_shows_its_last_line_and_where_all_of_it_is(tmp_path: Path) -> None:
    log = tmp_path / "models.log"
    log.write_text("much\nAudit failed [here]\n\n")
    display, text = plain()
    with display:
        display.handle(step("failed", elapsed_s=1.0, detail="it broke", log=str(log)))

    assert "failed Run the models" in text.getvalue()
    assert f"last line of {log}: Audit failed [here]" in text.getvalue()


def test_the_end_gives_addresses_the_login_and_a_curl_line() -> None:
    display, text = plain()
    with display:
        display.handle(READY)

    assert "http://127.0.0.1:8088" in text.getvalue()
    assert "admin / pass[word]" in text.getvalue()
    assert "release 3, 10 tables, data through 2026-01-01" in text.getvalue()
    assert (
        "curl -s http://127.0.0.1:8080/v1/sql -H 'Content-Type: application/json' "
        """-d '{"sql": "select * from gold_shop.sales limit 3"}'"""
    ) in text.getvalue()
    assert "still being loaded" not in text.getvalue()


def test_the_end_says_which_release_is_not_served_yet() -> None:
    display, text = plain()
    with display:
        display.handle(READY | {"awaits": 4})

    assert "Release 4 is still being loaded" in text.getvalue()


def test_events_of_another_process_are_followed_to_the_last(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    seen: list[Any] = []
    done = threading.Event()

    def write() -> None:
        file = EventFile(path)
        for number in range(3):
            file.handle({"number": number})
            time.sleep(0.05)
        file.close()
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    follow_events(path, lambda event: seen.append(event["number"]), done.is_set)
    writer.join()

    assert seen == [0, 1, 2]


def test_closing_the_terminal_ends_everything(settings: Settings) -> None:
    """The live display writes to a terminal that is gone; the hang-up must still end all."""
    fake = Path(__file__).with_name("fake_lake.py")
    environment = os.environ | {
        "PYTHONPATH": str(fake.parents[3]), "LAVRA_SERVICE_PORT": str(free_port()),
    }  # fmt: skip
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, str(fake), str(settings.project)], environment)  # noqa: S606
    shown = b""
    deadline = time.monotonic() + 25
    while b"Try it:" not in shown:
        assert time.monotonic() < deadline, shown
        shown += os.read(terminal, 4096)
    assert len(marked_processes(settings.state)) == 4
    os.close(terminal)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert marked_processes(settings.state) == []
    assert RunFile(settings.state).read() is None
    notes = (settings.project / "order.txt").read_text().splitlines()
    assert notes == ["first up", "second up", "second down", "first down"]
