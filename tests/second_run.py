"""Run the tests, and what failed once more, alone: ``python -m tests.second_run --workers 2 ...``.

Other options are given to pytest.

Why: docs/decisions/0003-a-failed-test-gets-a-second-run.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(".pytest_cache")
MOST = 3
"""More failures than these are no accident: they stand."""


def main(arguments: list[str]) -> int:
    """Run pytest; return its exit code, that of the second run if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", default="2", help="how many tests at a time (default: 2)")
    ours, options = parser.parse_known_args(arguments)
    code = _pytest(["-n", ours.workers, "--no-loadscope-reorder", "--cache-clear", *options])
    failed = _failed()
    if code != 1 or not 0 < len(failed) <= MOST:
        return code
    _say("a second run, alone, of what failed", failed)
    code = _pytest(["--last-failed", "--last-failed-no-failures=none", *options])
    if code == 0:
        _say("UNSTABLE: failed among the others, passed alone; please find out why", failed)
        if os.environ.get("GITHUB_ACTIONS"):
            for test in failed:
                print(f"::warning title=unstable test::{test}")
    return code


def _pytest(options: list[str]) -> int:
    sys.stdout.flush()
    return subprocess.run([sys.executable, "-m", "pytest", *options], check=False).returncode


def _failed() -> list[str]:
    record = CACHE / "v/cache/lastfailed"
    return sorted(json.loads(record.read_text())) if record.exists() else []


def _say(what: str, tests: list[str]) -> None:
    print(f"\n=== {what}:")
    for test in tests:
        print(f"  {test}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
