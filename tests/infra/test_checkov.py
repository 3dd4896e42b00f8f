"""checkov finds in prod's plan what infra/.checkov.yaml gives reasons for, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from uv import find_uv_bin

from tests.infra.conftest import INFRA

# Apart from our environment: its many pins do not install beside ours.
CHECKOV = "checkov==3.3.30"


@pytest.fixture(scope="module")
def found(
    plan_of: Callable[[str], dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[str]]:
    """The checks that fail: in the plan as it is, and in one that is broken on purpose."""
    folder = tmp_path_factory.mktemp("checkov")
    plan = json.dumps(plan_of("prod"))
    (folder / "clean.json").write_text(plan)
    broken = plan.replace(
        '"public_access_prevention": "enforced"', '"public_access_prevention": ""'
    )
    broken = broken.replace('"ipv4_enabled": false', '"ipv4_enabled": true')
    assert broken != plan
    (folder / "broken.json").write_text(broken)
    done = subprocess.run(
        [
            find_uv_bin(), "tool", "run", "--quiet", "--from", CHECKOV, "checkov",
            "--file", "clean.json", "broken.json", "--framework", "terraform_plan",
            "--output", "json", "--compact", "--skip-download", "--soft-fail",
        ],
        cwd=folder,
        env={**os.environ, "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )  # fmt: skip
    if done.returncode and "checkov" in done.stderr and "resolve" in done.stderr.lower():
        pytest.skip(f"{CHECKOV} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    failed: dict[str, set[str]] = {"clean.json": set(), "broken.json": set()}
    for check in json.loads(done.stdout)["results"]["failed_checks"]:
        failed[Path(check["file_path"]).name].add(check["check_id"])
    return failed


def test_only_what_has_a_reason_is_found(found: dict[str, set[str]]) -> None:
    listed = yaml.safe_load((INFRA / ".checkov.yaml").read_text("utf-8"))["skip-check"]
    assert found["clean.json"] == set(listed)


def test_what_is_broken_is_found(found: dict[str, set[str]]) -> None:
    """A bucket that may become public, and a database with a public address."""
    assert found["broken.json"] - found["clean.json"] == {"CKV_GCP_114", "CKV_GCP_60"}


def test_each_skip_has_a_reason() -> None:
    lines = (INFRA / ".checkov.yaml").read_text("utf-8").splitlines()
    for above, line in pairwise(lines):
        if line.startswith("  - CKV"):
            assert above.startswith("  #"), line
