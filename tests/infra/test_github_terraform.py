"""The accounts that run Terraform for GitHub may do what the plans need, and no more."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.infra.conftest import INFRA, REPOSITORY

SCRIPT = INFRA / "bin" / "github_terraform.py"
# Parts of another resource, or grants on it: who administers that one administers these.
PARTS = re.compile(r"_iam_member$|_pool_provider$|^google_billing_budget$|^terraform_data$")


def printed() -> str:
    words = [sys.executable, str(SCRIPT), "acme-lake", "123", "456", "acme-state"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def rows(account: str) -> dict[str, set[str]]:
    """Return docs/deploy.md's table of an account: role => resources it is for."""
    page = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    section = page.split("## Delivery from GitHub", 1)[1].split("\n## ", 1)[0]
    found = re.findall(rf"^\| `{account}` \| `roles/([\w.]+)` \| (.*) \|$", section, re.MULTILINE)
    return {role: set(re.findall(r"`(google_\w+)`", why)) for role, why in found}


def test_it_says_what_bash_takes() -> None:
    done = subprocess.run(["bash", "-n"], input=printed(), text=True, check=False)
    assert done.returncode == 0


def test_main_alone_may_change_things() -> None:
    bound = [line for line in printed().splitlines() if "workloadIdentityUser" in line]
    assert len(bound) == 2
    assert "lavra-applier@" in bound[0]
    assert bound[0].endswith("/workloadIdentityPools/lavra-terraform/attribute.ref/refs/heads/main")
    assert "lavra-planner@" in bound[1]
    assert "assertion.repository_id == '\"'\"'456'\"'\"'" in printed()


def test_nobody_has_a_basic_role_and_the_planner_changes_nothing() -> None:
    granted = re.findall(r"--role=roles/([\w.]+)", printed())
    assert not {"owner", "editor", "viewer"} & set(granted)
    reading = re.compile(r"(viewer|Viewer|reader|Reviewer|Consumer)$")
    assert all(reading.search(role) for role in rows("planner"))


def test_the_table_is_what_is_granted_and_the_plans_need(
    plan_of: Callable[[str], dict[str, Any]],
) -> None:
    granted: dict[str, set[str]] = {"applier": set(), "planner": set()}
    for account, role in re.findall(
        r"projects add-iam-policy-binding acme-lake --member=serviceAccount:lavra-(\w+)@\S+ "
        r"--role=roles/([\w.]+)",
        printed(),
    ):
        granted[account].add(role)
    assert granted == {account: set(rows(account)) for account in granted}
    needed = {
        change["type"]
        for environment in ("dev", "prod")
        for change in plan_of(environment)["resource_changes"]
        if not PARTS.search(change["type"])
    }
    assert set().union(*rows("applier").values()) == needed
