"""Runs the models that are due, in a process of their own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from lavra.environments import own_program
from lavra.errors import ProcessError

if TYPE_CHECKING:
    from lavra.settings import Settings

_SAID = 2000


def run_models(settings: Settings) -> None:
    """Run `sqlmesh run`: what is due by its schedule, or since something landed; then release.

    Raises:
        ProcessError: SQLMesh is not installed, or the run failed; the message ends with what it
            said.
    """
    project = settings.project / "sqlmesh_project"
    if not project.is_dir():
        return
    done = subprocess.run(
        [own_program("sqlmesh"), "-p", str(project), "run"],
        cwd=settings.project, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-_SAID:]
        raise ProcessError(
            f"The models failed: {said}",
            remedy="What has landed stays; they are run again in a while, or when more arrives.",
        )
