"""Runs the models that are due, in a process of their own."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from typing import TYPE_CHECKING

from lavra.environments import own_program
from lavra.errors import ProcessError

if TYPE_CHECKING:
    from lavra.settings import Settings

_SAID = 2000
_LOOK_S, _PATIENCE_S = 0.2, 10.0


def run_models(settings: Settings, stopping: threading.Event | None = None) -> None:
    """Run `sqlmesh run`: what is due by its schedule, or since something landed; then release.

    Args:
        settings: Of the lake.
        stopping: When set, the run is ended; what it had begun is repeated by the next one.

    Raises:
        ProcessError: SQLMesh is not installed, the run failed, or it was ended; the message ends
            with what it said.
    """
    project = settings.project / "sqlmesh_project"
    if not project.is_dir():
        return
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(
            [own_program("sqlmesh"), "-p", str(project), "run"],
            cwd=settings.project, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        while process.poll() is None:
            if stopping is None:
                process.wait()
            elif stopping.wait(_LOOK_S):
                _end(process)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()[-_SAID:]
            raise ProcessError(
                f"The models failed: {said}",
                remedy="What has landed stays; they are run again in a while, or when more "
                "arrives.",
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
