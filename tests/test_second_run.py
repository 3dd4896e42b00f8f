"""What fails once among others gets a second run; what fails twice, or in numbers, fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TESTS = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range({count}))
def test_it(number):
    seen = pathlib.Path(f"seen-{{number}}")
    times = len(seen.read_text()) if seen.exists() else 0
    seen.write_text("x" * (times + 1))
    assert times >= {good_after}

def test_good():
    pass
"""


@pytest.mark.parametrize(
    ("count", "good_after", "code", "runs_of_one"),
    [(1, 0, 0, 1), (3, 1, 0, 2), (2, 2, 1, 2), (4, 1, 1, 1)],
    ids=["all pass", "three pass the second time", "they fail again", "too many fail"],
)
def test_second_run(
    tmp_path: Path, count: int, good_after: int, code: int, runs_of_one: int
) -> None:
    (tmp_path / "test_these.py").write_text(TESTS.format(count=count, good_after=good_after))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.second_run", "--workers", "0", "test_these.py"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stdout
    assert (tmp_path / "seen-0").read_text() == "x" * runs_of_one
    unstable = ended.stdout.partition("UNSTABLE")[2]
    assert ("test_these.py::test_it[0]" in unstable) == (code == 0 and runs_of_one == 2)
