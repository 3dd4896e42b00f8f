"""SQLAlchemy's own dialect suite (``sqlalchemy.testing.suite``) against the live service.

It runs in a process of its own, under SQLAlchemy 2.x as installed and under 1.4 as Superset has
it. The service only reads, so the suite's tables are made behind it: its dialect
(``sqlalchemy_suite/lake_dialect.py``) sends what writes to this process, which writes to DuckLake
and releases before the next read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.query_service.conftest import close_lake, make_lake, serving
from tests.query_service.driver.lake_behind import LakeBehind

SUITE = Path(__file__).parent / "sqlalchemy_suite"
DRIVER = Path(__file__).parents[3] / "query_service" / "driver"
NO_REASON = "marked as skip"
"""What SQLAlchemy says of a requirement that is closed and not mentioned."""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A service and, at a socket, the lake behind it; returns the socket and the service's port."""
    root = tmp_path_factory.mktemp("suite")
    lake = make_lake(root / "lake")
    with serving(lake.settings, ready=False) as client:
        held = LakeBehind(lake, client)
        with held.listening(str(root / "s")):
            yield str(root / "s"), int(client.base_url.port or 0)
    close_lake(lake)


def python_with(version: str, folder: Path) -> str:
    """The Python of an environment with a version of SQLAlchemy."""
    if version == "2":
        return sys.executable
    uv, python = find_uv_bin(), folder / "venv" / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([uv, "venv", "--quiet", "--python", base, folder / "venv"], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, DRIVER, "sqlalchemy==1.4.54",
         "pytest==7.4.4"],
        check=True,
    )  # fmt: skip
    return str(python)


def run_suite(behind: tuple[str, int], folder: Path, version: str, *options: str) -> Counter[str]:
    """Run the suite under a version of SQLAlchemy; return how many tests passed and did not run."""
    socket, port = behind
    report = folder / "report.xml"
    done = subprocess.run(
        [
            python_with(version, folder), "-m", "pytest", "-q", "--tb=short", "-c", "setup.cfg",
            "--junitxml", report, "--dburi", f"lavra+lake://127.0.0.1:{port}/prod",
            "run_suite.py", *options,
        ],
        cwd=SUITE, capture_output=True, text=True, check=False,
        env={
            **os.environ, "LAKE_SOCKET": socket, "PYTHONPATH": str(SUITE),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    counts: Counter[str] = Counter()
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written by our own process
        skipped = case.find("skipped")
        if skipped is None:
            counts["passed"] += 1
            continue
        reason = str(skipped.get("message")).rpartition(" : ")[2]
        assert reason, case.get("name")
        assert not reason.endswith(NO_REASON), f"{case.get('name')} does not run without a reason"
        counts[reason] += 1
    print(f"SQLAlchemy {version}:", *(f"{n} {what}" for what, n in counts.most_common()), sep="\n ")
    return counts


@pytest.mark.parametrize(
    ("version", "least"), [pytest.param("1.4", 60, marks=pytest.mark.soak), ("2", 80)]
)
def test_short(behind: tuple[str, int], tmp_path: Path, version: str, least: int) -> None:
    tests = (
        "FetchLimitOffsetTest or CTETest or LikeFunctionsTest or DateTimeTest or IntervalTest "
        "or WindowFunctionTest or UnicodeTextTest"
    )
    assert run_suite(behind, tmp_path, version, "-k", tests)["passed"] >= least


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("version", "least"), [("1.4", 305), ("2", 580)])
def test_whole(behind: tuple[str, int], tmp_path: Path, version: str, least: int) -> None:
    assert run_suite(behind, tmp_path, version)["passed"] >= least
