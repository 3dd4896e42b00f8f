"""Environments by lock: one that was cut off is made anew, but not beside what still writes it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from lavra import environments
from lavra.environments import LockedEnvironment

UV = """#!{python}
import pathlib, sys, time
folder = pathlib.Path(sys.argv[-1])
if "venv" in sys.argv:
    folder.mkdir()
    (folder.parent / "began").touch()
    while not (folder.parent / "go").exists():
        time.sleep(0.02)
    (folder / "written").touch()
"""
VICTIM = """
import sys
from pathlib import Path
from lavra import environments
from lavra.environments import LockedEnvironment
root = Path(sys.argv[1])
environments.find_uv = lambda *_: str(root / "uv")
environments._python = lambda *_: "python"
LockedEnvironment("thing", root / "lock", root / "env", "extra").ensure()
"""


def test_one_killed_while_it_was_made_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(UV.format(python=sys.executable))
    uv.chmod(0o755)
    run = subprocess.Popen([sys.executable, "-c", VICTIM, str(tmp_path)])
    while not (tmp_path / "began").exists():
        assert run.poll() is None
        time.sleep(0.02)
    [orphan] = psutil.Process(run.pid).children()
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    with (tmp_path / "env.lock").open("a") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # uv goes on, and holds it
    (tmp_path / "go").touch()
    psutil.wait_procs([orphan], timeout=60)
    monkeypatch.setattr(environments, "find_uv", lambda *_: str(uv))
    monkeypatch.setattr(environments, "_python", lambda *_: "python")
    environment = LockedEnvironment("thing", tmp_path / "lock", tmp_path / "env", "extra")
    said: list[str] = []
    environment.ensure(said.append)
    assert said[0] == "Removing a half-made environment"
    assert environment.is_complete
