"""The bill of an image: what its packages' own records say, as CycloneDX has it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from tests.infra.conftest import INFRA

SCRIPT = INFRA / "bin" / "sbom.py"
DPKG = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def bill_of(root: Path, name: str) -> dict[str, Any]:
    """Return an image's bill, or skip where the script's library cannot be installed."""
    words = [find_uv_bin(), "run", "--quiet", "--no-project", "--script", str(SCRIPT)]
    done = subprocess.run(
        [*words, str(root), name], capture_output=True, text=True, timeout=280, check=False
    )
    if done.returncode and "No solution found" in done.stderr:
        pytest.skip(f"cyclonedx-python-lib cannot be installed here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def test_it_lists_what_python_and_debian_installed(tmp_path: Path) -> None:
    dpkg = tmp_path / "var" / "lib" / "dpkg"
    dpkg.mkdir(parents=True)
    (dpkg / "status").write_text(DPKG)
    packages = tmp_path / "opt" / "lavra" / "lib" / "python3.11" / "site-packages"
    for name, version in (("Type_Hints", "1.2"), ("duckdb", "1.5.5")):
        info = packages / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    bill = bill_of(tmp_path, "job")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "job"
    assert {component["purl"] for component in bill["components"]} == {
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64",
        "pkg:pypi/duckdb@1.5.5",
        "pkg:pypi/type-hints@1.2",
    }
