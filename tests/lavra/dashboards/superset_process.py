"""Superset loaded once for the programs of a test session: each is a fork of that process.

Starting Superset takes seconds of processor time, and the tests run a dozen programs in it. A fork
has the same code and configuration, and shares nothing with the others but Superset's metadata.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from lavra.catalog import open_catalog
from lavra.catalog.catalog import SUPERSET_DATABASE
from lavra.dashboards import superset
from lavra.dashboards.environment import SupersetEnvironment
from lavra.settings import Settings

FORKS = Path(__file__).with_name("superset_forks.py")


class SupersetProcess:
    """A process of Superset that waits for programs; use it as a context manager.

    Args:
        settings: The lake, whose Superset it is.
        environment: Where Superset is installed.
    """

    def __init__(self, settings: Settings, environment: SupersetEnvironment) -> None:
        open_catalog(settings).ensure_database(SUPERSET_DATABASE)  # which Superset opens at once
        command, variables = superset.server_command(settings, environment)
        self._log = (superset.superset_home(settings) / "forks.log").open("wb")
        self._process = subprocess.Popen(
            [command[0], str(FORKS)], env=os.environ | variables, cwd=settings.state, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip
        self._home = variables["SUPERSET_HOME"]
        self._is_ready = False

    def __enter__(self) -> SupersetProcess:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def run(self, command: list[str], variables: dict[str, str], folder: str, log: BinaryIO) -> int:
        """Run a program in a fork; return its exit status."""
        assert self._process.stdin is not None
        if not self._is_ready:
            assert self._read() == "ready"
            self._is_ready = True
        task = {
            "command": command[1:], "variables": variables, "folder": folder, "log": log.name,
        }  # fmt: skip
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return int(self._read())

    @contextmanager
    def replacing_programs(self) -> Iterator[None]:
        """Run what ``lavra`` would start as a program of this Superset in forks of the process."""
        start = superset._run

        def run(command: list[str], variables: dict[str, str], folder: str, log: BinaryIO) -> int:
            is_ours = variables["SUPERSET_HOME"] == self._home
            return (self.run if is_ours else start)(command, variables, folder, log)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(superset, "_run", run)
            yield

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"Superset ended; {self._log.name} says why"
        return line.strip()
