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


# What is broken on purpose in the scanned plan, and the checks that must find it.
BREAKAGES = {
    '"public_access_prevention": "enforced"': ('"public_access_prevention": ""', "CKV_GCP_114"),
    '"ipv4_enabled": false': ('"ipv4_enabled": true', "CKV_GCP_60"),
}


def test_it_finds_what_has_a_reason_and_what_is_broken(
    plan_of: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    """One scan serves both: what is found in prod's plan is what is listed, and what we broke."""
    plan = json.dumps(plan_of("prod"))
    for good, (bad, _) in BREAKAGES.items():
        assert good in plan
        plan = plan.replace(good, bad)
    (tmp_path / "broken.json").write_text(plan)
    done = subprocess.run(
        [
            find_uv_bin(), "tool", "run", "--quiet", "--from", CHECKOV, "checkov",
            "--file", "broken.json", "--framework", "terraform_plan",
            "--output", "json", "--compact", "--skip-download", "--soft-fail",
        ],
        cwd=tmp_path,
        env={**os.environ, "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )  # fmt: skip
    if done.returncode and "checkov" in done.stderr and "resolve" in done.stderr.lower():
        pytest.skip(f"{CHECKOV} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    found = {check["check_id"] for check in json.loads(done.stdout)["results"]["failed_checks"]}
    listed = yaml.safe_load((INFRA / ".checkov.yaml").read_text("utf-8"))["skip-check"]
    assert found == set(listed) | {check for _, check in BREAKAGES.values()}


def test_each_skip_has_a_reason() -> None:
    lines = (INFRA / ".checkov.yaml").read_text("utf-8").splitlines()
    for above, line in pairwise(lines):
        if line.startswith("  - CKV"):
            assert above.startswith("  #"), line
