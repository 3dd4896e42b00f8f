"""Terraform for the tests: the real provider where it can be downloaded, else a stand-in."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
INFRA = REPOSITORY / "infra"
REGISTRY = "registry.terraform.io"
MINIMUM_VERSION = (1, 11)
PROJECT = "acme-lake"
DIGEST = "sha256:" + "0123456789abcdef" * 4
VARIABLES = f"""
airbyte    = {{ client_id = "application", workspace_id = "workspace" }}
alerts     = {{ emails = ["oncall@example.com"] }}
bigquery   = {{
  readers = {{ analysts = "group:analysts@example.com" }}
  tables  = ["gold_commerce.daily_revenue"]
}}
events     = {{ project_number = "123" }}
github     = {{ project_number = "123", repository = "acme/lake", repository_id = "456" }}
images = {{
  job      = "registry/job@{DIGEST}"
  service  = "registry/service@{DIGEST}"
  superset = "registry/superset@{DIGEST}"
}}
domains         = ["aviation", "commerce"]
project_id      = "{PROJECT}"
receiver        = {{ project_number = "123" }}
source_postgres = {{ callers = {{ me = "user:me@example.com" }} }}
streams         = {{}}
sources    = {{
  environment = {{ SHOP_HOST = "10.1.2.3" }}
  secrets     = {{ SHOP_PASSWORD = "shop-password" }}
}}
"""


@dataclass
class TestReport:
    """What `terraform test` said.

    ``failures`` holds the message of each assertion that did not hold and, for each input that
    should have been refused and was not, ``not refused: <variable>``.
    """

    __test__ = False
    runs: dict[str, str] = field(default_factory=dict)
    failures: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Terraform:
    """The command line, and the environment that it finds its provider with."""

    program: str
    provider: str
    environment: dict[str, str]

    def run(self, folder: Path, *arguments: str, check: bool = True) -> str:
        """Run it in ``folder`` and return what it printed."""
        done = subprocess.run(
            [self.program, *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"terraform {' '.join(arguments)} in {folder}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def init(self, folder: Path) -> None:
        """Initialise ``folder`` with a local state, whatever its backend."""
        if any("backend" in path.read_text() for path in folder.glob("*.tf")):
            (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        self.run(folder, "init", "-input=false", "-no-color")

    def plan(self, folder: Path, *options: str) -> dict[str, Any]:
        """Return the plan of ``folder`` as `terraform show -json` tells it."""
        self.run(folder, "plan", "-input=false", "-no-color", "-out=tested.plan", *options)
        plan: dict[str, Any] = json.loads(self.run(folder, "show", "-json", "tested.plan"))
        return plan

    def test(self, folder: Path) -> TestReport:
        """Run the tests of a module."""
        report = TestReport()
        for line in self.run(folder, "test", "-json", check=False).splitlines():
            event = json.loads(line)
            if event["type"] == "test_run" and event["test_run"].get("progress") == "complete":
                report.runs[event["test_run"]["run"]] = event["test_run"]["status"]
            elif event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
                said = event["diagnostic"]
                if said["summary"] == "Test assertion failed":
                    report.failures.add(said["detail"])
                elif said["summary"] == "Missing expected failure":
                    variable = re.match(r"The checkable object, (\S+),", said["detail"])
                    assert variable, said
                    report.failures.add(f"not refused: {variable[1]}")
                else:
                    report.errors.append(f"{said['summary']}: {said['detail']}")
        return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests of this folder to `make soak`."""
    if "soak" in config.option.markexpr:
        return
    here = Path(__file__).parent
    long = [item for item in items if here in item.path.parents and item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def terraform(pytestconfig: pytest.Config) -> Terraform:
    """Terraform with a google provider, or a skip that says what is missing."""
    program = shutil.which("terraform")
    if not program:
        pytest.skip("terraform is not installed: https://developer.hashicorp.com/terraform/install")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("TF_")},
        "CHECKPOINT_DISABLE": "1",
        # A plan that creates everything asks Google nothing; the provider wants a token anyway.
        "GOOGLE_OAUTH_ACCESS_TOKEN": "not-a-token",
        "TF_IN_AUTOMATION": "1",
    }
    configured = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if Path(configured).is_file():
        environment["TF_CLI_CONFIG_FILE"] = configured
    version = json.loads(
        subprocess.run(
            [program, "version", "-json"], env=environment, capture_output=True, check=True
        ).stdout
    )["terraform_version"]
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
        pytest.skip(f"terraform {version} is older than {'.'.join(map(str, MINIMUM_VERSION))}")

    cache = getattr(pytestconfig, "cache", None)
    if cache is None:
        pytest.skip("pytest runs without its cache, in which the provider is kept")
    if "TF_CLI_CONFIG_FILE" in environment or _registry_answers():
        environment["TF_PLUGIN_CACHE_DIR"] = str(cache.mkdir("terraform-plugins"))
        environment["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        return Terraform(program, "the configured or real provider", environment)
    installer = _stand_in()
    if installer is None:
        pytest.skip(f"no google provider: {REGISTRY} does not answer and no stand-in is beside us")
    line = subprocess.run(
        [str(installer), str(cache.mkdir("terraform-stand-in"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    environment["TF_CLI_CONFIG_FILE"] = line.split("TF_CLI_CONFIG_FILE=", 1)[1].strip()
    return Terraform(program, "the stand-in for google 6.50.0", environment)


@pytest.fixture(scope="session")
def plan_of(
    terraform: Terraform, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """Return the plan of an environment's first apply, with everything that it can have."""

    @cache
    def plan(environment: str) -> dict[str, Any]:
        folder = copy_infra(tmp_path_factory.mktemp(environment) / "infra")
        folder = folder / "environments" / environment
        (folder / "terraform.tfvars").write_text(VARIABLES)
        terraform.init(folder)
        return terraform.plan(folder)

    return plan


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    """A copy of ``infra/`` that a test may initialise and break."""
    return copy_infra(tmp_path / "infra")


def copy_infra(target: Path) -> Path:
    """Copy ``infra/`` to ``target``, without what Terraform left in it."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf", "*.plan")
    return Path(shutil.copytree(INFRA, target, ignore=ignored))


def _registry_answers() -> bool:
    try:
        with socket.create_connection((REGISTRY, 443), timeout=3):
            return True
    except OSError:
        return False


def _stand_in() -> Path | None:
    """Find the stand-in provider's installer, in a folder ``shared`` beside the repository."""
    name = Path("shared", "tools", "terraform_google_stub", "install.sh")
    return next((p / name for p in REPOSITORY.parents if (p / name).is_file()), None)
