"""Both environments plan, and what they plan is closed, least-privileged and rightly configured."""

from __future__ import annotations

import importlib.util
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lavra.cli.main import build_app
from lavra.cli.receive import check_senders
from lavra.settings import Settings, load_settings
from tests.infra.conftest import INFRA, PROJECT, REPOSITORY, VARIABLES, Terraform

ENVIRONMENTS = ("dev", "prod")
# Who may do anything, or nearly so, in a whole project.
BROAD = re.compile(r"^roles/(owner|editor|viewer)$|[aA]dmin$")

# What Google grants on a project only.
PROJECT_WIDE = {"roles/workflows.invoker"}

Resource = dict[str, Any]


@pytest.fixture(params=ENVIRONMENTS)
def planned(
    request: pytest.FixtureRequest, plan_of: Callable[[str], dict[str, Any]]
) -> list[Resource]:
    """Every resource that the first apply of an environment with all images creates."""
    return [
        {"type": change["type"], "address": change["address"], **change["change"]["after"]}
        for change in plan_of(request.param)["resource_changes"]
        if change["change"]["actions"] == ["create"]
    ]


def test_environment_variables_are_settings(planned: list[Resource], project: Path) -> None:
    """What the modules set has the names, and values, that Lavra or its connections read."""
    containers = list(_containers(planned))
    assert containers
    known = {
        str(field.validation_alias or f"LAVRA_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }
    declared = [
        *(REPOSITORY / "airbyte" / "connections").glob("*.yaml"),
        *(REPOSITORY / "airbyte" / "streams").glob("*.yaml"),
    ]
    referred = {
        name for path in declared for name in re.findall(r"\$\{(\w+)", path.read_text("utf-8"))
    }
    reading = set()
    for address, container in containers:
        names = {variable["name"] for variable in container["env"]}
        if names & referred:
            reading.add(re.sub(r"^module\.stack\.module\.|\.google_.*", "", address))
            assert {"SHOP_HOST", "SHOP_PASSWORD"} <= names
            # A source of one's own is told by all the names that its stream refers to.
            assert {name for name in referred if name.startswith("AVIATION_")} <= names
            names -= referred
        assert names <= known, f"{address} sets what is no setting: {names - known}"
        assert "LAVRA_STATE_DIR" in names
        superset, generator = ".module.superset[" in address, ".source_postgres[" in address
        # Superset knows the service, and nothing of the lake behind it; the generator neither.
        assert ("LAVRA_LAKE_URL" in names) is not (superset or generator)
        assert ("LAVRA_CATALOG_URL" in names) is not generator
        with pytest.MonkeyPatch.context() as environment:
            for variable in container["env"]:
                if not variable["value_source"]:
                    # An address that Google gives is known after apply.
                    value = variable.get("value", "https://service.example.run.app")
                    environment.setenv(variable["name"], value)
            settings = load_settings(project)
        assert superset or generator or settings.lake_url.startswith(f"gs://{PROJECT}-lavra-")
        mounts = {mount["name"]: mount["mount_path"] for mount in container["volume_mounts"]}
        assert str(settings.state_dir) == mounts["state"]
        if ".receiver[" in address:
            check_senders(settings)  # it would start
    assert reading == {
        'jobs["land"]', 'jobs["teardown-streams"]', "receiver[0]", "stream_worker[0]"
    }  # fmt: skip


def test_no_secret_is_in_the_plan(planned: list[Resource]) -> None:
    for address, container in _containers(planned):
        secret = {v["name"] for v in container["env"] if v["value_source"]}
        assert secret & {"LAVRA_CATALOG_URL", "LAVRA_GENERATOR_DATABASE_URL"}, address
        assert not [
            v for v in container["env"] if "://" in (v.get("value") or "") and "@" in v["value"]
        ]
    assert not _of(planned, "google_secret_manager_secret_version")
    assert not _of(planned, "google_service_account_key")
    assert not _of(planned, "google_sql_user")


def test_jobs_run_commands_that_exist(planned: list[Resource]) -> None:
    commands = [
        container["command"] for _, container in _containers(planned) if container["command"]
    ]
    assert len(commands) == 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLMesh's own, of its libraries
        from sqlmesh.cli.main import cli as sqlmesh
    programs = {"lavra": get_command(build_app()), "sqlmesh": sqlmesh}
    for command in commands:
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(f"{command[2]}.__main__"), command
            continue
        known: Any = programs[command[0]]
        for word in command[1:]:
            options = {name for option in known.params for name in option.opts}
            if word in getattr(known, "commands", {}):
                known = known.commands[word]
            else:
                assert word in options or not word.startswith("-"), f"{command}: {word}"
        assert not hasattr(known, "commands"), f"{command} names no command"


def test_the_guide_names_what_there_is(plan_of: Callable[[str], dict[str, Any]]) -> None:
    page = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    addresses = {change["address"] for change in plan_of("dev")["resource_changes"]}
    removed = set(re.findall(r"terraform state rm '?([\w.\[\]]+)", page))
    assert removed
    assert removed <= addresses
    names = {
        str((change["change"]["after"] or {}).get("name"))
        for change in plan_of("dev")["resource_changes"]
    }
    mentioned = set(re.findall(r"(?:execute|update|proxy|--instance=)\s*(lavra-dev-[\w-]+)", page))
    assert len(mentioned) >= 4
    assert mentioned <= names
    outputs = set(re.findall(r"terraform output (?:-json )?(\w+)", page))
    assert outputs
    assert outputs <= set(plan_of("dev")["planned_values"]["outputs"])


def test_nothing_is_public(planned: list[Resource]) -> None:
    for resource in planned:
        member = str(resource.get("member", ""))
        assert "allUsers" not in member, resource["address"]
        assert "allAuthenticatedUsers" not in member, resource["address"]
    for bucket in _of(planned, "google_storage_bucket"):
        assert bucket["public_access_prevention"] == "enforced"
        assert bucket["uniform_bucket_level_access"] is True
        assert bucket["force_destroy"] is False
    for service in _of(planned, "google_cloud_run_v2_service"):
        closed = service["ingress"] == "INGRESS_TRAFFIC_INTERNAL_ONLY"
        assert closed or not service["invoker_iam_disabled"], service["address"]
    for instance in _of(planned, "google_sql_database_instance"):
        assert instance["settings"][0]["ip_configuration"][0]["ipv4_enabled"] is False


def test_accounts_have_exactly_the_documented_roles(planned: list[Resource]) -> None:
    """docs/deploy.md says who may do what and why; the plan grants that, and nothing else."""
    granted = set()
    for resource in planned:
        if not resource["type"].endswith("_iam_member"):
            continue
        if resource["type"] == "google_project_iam_member":
            assert resource["role"] in PROJECT_WIDE, "roles are never project-wide"
        assert not BROAD.search(resource["role"]), resource["address"]
        granted.add((_account(resource), resource["role"], _target(resource)))
    documented = set()
    page = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
    section = page.split("## Who may do what", 1)[1].split("\n## ", 1)[0]
    for row in re.findall(
        r"^\| `([\w-]+)` \| `(roles/[\w.]+)` \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE
    ):
        documented |= {(row[0], row[1], target) for target in re.findall(r"`([\w<>-]+)`", row[2])}
    assert granted == documented


def test_every_account_that_runs_something_is_our_own(planned: list[Resource]) -> None:
    ours = {
        f"{account['account_id']}@{PROJECT}.iam.gserviceaccount.com"
        for account in _of(planned, "google_service_account")
    }
    running = set()
    for resource in planned:
        if resource["type"] in {"google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool"}:
            running.add(resource["template"][0]["service_account"])
        elif resource["type"] == "google_cloud_run_v2_job":
            running.add(resource["template"][0]["template"][0]["service_account"])
    assert running <= ours
    assert len(running) == 4, "service, Superset, worker and generator run as different accounts"


def test_foundation_stands_without_images(terraform: Terraform, infra: Path) -> None:
    folder = infra / "environments" / "dev"
    terraform.init(folder)
    plan = terraform.plan(folder, f"-var=project_id={PROJECT}")
    types = {change["type"] for change in plan["resource_changes"]}
    assert {"google_storage_bucket", "google_sql_database_instance"} <= types
    assert not {kind for kind in types if kind.startswith("google_cloud_run")}


def test_environments_differ_in_values_only() -> None:
    for name in ("variables.tf", "outputs.tf"):
        texts = {(INFRA / "environments" / env / name).read_text("utf-8") for env in ENVIRONMENTS}
        assert len(texts) == 1, name
    for environment in ENVIRONMENTS:
        text = (INFRA / "environments" / environment / "versions.tf").read_text("utf-8")
        assert f'prefix = "lavra/{environment}"' in text


def _of(planned: list[Resource], kind: str) -> list[Resource]:
    return [resource for resource in planned if resource["type"] == kind]


def _containers(planned: list[Resource]) -> Iterator[tuple[str, Resource]]:
    """Yield the address of each Cloud Run service, pool and job, and its container."""
    for service in [
        *_of(planned, "google_cloud_run_v2_service"),
        *_of(planned, "google_cloud_run_v2_worker_pool"),
    ]:
        for container in service["template"][0]["containers"]:
            yield service["address"], container
    for job in _of(planned, "google_cloud_run_v2_job"):
        for container in job["template"][0]["template"][0]["containers"]:
            yield job["address"], container


def _account(resource: Resource) -> str:
    """Return which of our accounts a grant is to (or acts as, for GitHub's identity)."""
    people = {"group:analysts@example.com": "readers", "user:me@example.com": "callers"}
    if resource["member"] in people:
        return people[resource["member"]]
    if resource["member"].startswith("principalSet:"):
        return "github"
    if resource["member"].endswith("@gs-project-accounts.iam.gserviceaccount.com"):
        return "storage"
    found = re.fullmatch(
        rf"serviceAccount:lavra-(?:dev|prod)-([\w-]+)@{PROJECT}\.iam\.gserviceaccount\.com",
        resource["member"],
    )
    assert found, resource
    return found[1]


def _target(resource: Resource) -> str:
    """Return what a grant is on, without the environment's prefix."""
    if resource["type"] == "google_project_iam_member":
        return "project"
    for key in ("bucket", "secret_id", "repository", "topic", "name", "dataset_id"):
        if key == "dataset_id" and resource.get(key):
            return "dataset"
        if resource.get(key):
            name = str(resource[key])
            if key == "secret_id" and not name.startswith("lavra-"):
                return "sources"
            short = re.sub(rf"^({PROJECT}-)?lavra-(dev|prod)-?", "", name)
            return short or "registry"
    return "deployer"  # a grant on a service account: its name is known after apply


# What dropping the slots needs, of the resources of an environment.
TEARDOWN_NEEDS = {
    'module.jobs["teardown-streams"].google_cloud_run_v2_job.worker',
    "module.network.google_service_networking_connection.private_services",
    "module.source_postgres[0].google_sql_database_instance.source",
    'module.source_postgres[0].google_secret_manager_secret_iam_member.followers["worker"]',
    'module.catalog.google_secret_manager_secret_iam_member.urls["worker"]',
    'module.catalog.google_secret_manager_secret_iam_member.ca["worker"]',
    'google_secret_manager_secret_iam_member.sources["SHOP_PASSWORD"]',
}
GCLOUD = """#!/bin/sh
folder=$(dirname "$0")
echo "$@" >> "$folder/calls"
test -e "$folder/works"
"""


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_it_goes_up_and_down_as_the_guide_says(
    terraform: Terraform, infra: Path, tmp_path: Path
) -> None:
    """Slots go first, then all but the lake's bucket, which is forgotten and not deleted."""
    if "stand-in" not in terraform.provider:
        pytest.skip("applying needs the stand-in: nothing is made in a real project by a test")
    gcloud = tmp_path / "bin" / "gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text(GCLOUD)
    gcloud.chmod(0o755)
    path = f"{gcloud.parent}:{terraform.environment['PATH']}"
    terraform = replace(terraform, environment={**terraform.environment, "PATH": path})
    folder = infra / "environments" / "dev"
    (folder / "terraform.tfvars").write_text(VARIABLES)
    terraform.init(folder)
    bucket = "module.stack.module.lake.google_storage_bucket.lake"
    pool = "module.stack.module.stream_worker[0].google_cloud_run_v2_worker_pool.streams"
    terraform.run(folder, "apply", "-auto-approve", "-input=false", "-no-color")
    assert {bucket, pool} <= set(terraform.run(folder, "state", "list").split())
    again = terraform.plan(folder)
    changed = [c for c in again["resource_changes"] if c["change"]["actions"] != ["no-op"]]
    assert changed == [], "a second apply changes nothing"
    terraform.run(folder, "apply", "-auto-approve", "-no-color", "-var=deletion_protection=false")
    terraform.run(folder, "state", "rm", bucket)

    # The slots cannot be dropped: all that dropping them needs is still there, and the worker gone.
    failed = terraform.run(folder, "destroy", "-auto-approve", "-no-color", check=False)
    assert "Destroy complete" not in failed
    left = set(terraform.run(folder, "state", "list").split())
    assert pool not in left
    assert {f"module.stack.{address}" for address in TEARDOWN_NEEDS} <= left
    (gcloud.parent / "works").touch()
    gone = terraform.run(folder, "destroy", "-auto-approve", "-no-color")
    assert bucket not in gone
    assert terraform.run(folder, "state", "list") == ""
    words = f"run jobs execute lavra-dev-teardown-streams --project={PROJECT}"
    assert (gcloud.parent / "calls").read_text().count(words) == 2
