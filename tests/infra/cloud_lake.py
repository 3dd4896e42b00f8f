"""A lake that is configured as Terraform plans it, on stand-ins for Google's services.

The bucket is an emulator's, the catalog a Postgres with passwords behind TLS. What the containers
are told is read from the plan; what is added is where the emulator listens, and the ports.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg
import trustme

from lavra.catalog.local_postgres import LocalPostgres
from tests.conftest import free_port
from tests.infra.catalog_server import Credentials, as_admin, password_server, port_of
from tests.infra.containers import LOG_BYTES
from tests.tls_proxy import tls_proxy

PROGRAMS = Path(sys.executable).parent
CSV = "order_id,amount,day\n" + "".join(
    f"{number},{number}.50,2026-01-{1 + number % 28:02}\n" for number in range(1, 201)
)


@dataclass(frozen=True)
class Container:
    """What the plan says of one container: its words, its variables, where its volumes are."""

    words: tuple[str, ...]
    variables: dict[str, str]
    secrets: dict[str, str]
    mounts: dict[str, str]


class Starter(Protocol):
    """Starts a part: as a process of this machine, or in its image."""

    def __call__(
        self, part: str, words: Sequence[str], variables: dict[str, str], mounts: dict[str, str]
    ) -> subprocess.Popen[str]:
        """Start ``words`` with these variables; ``mounts`` are volumes by their path."""


@dataclass
class CloudLake:
    """The lake, with what an operator does to it."""

    containers: dict[str, Container]
    credentials: Credentials
    volumes: Path
    emulator: str
    catalog_port: int
    service_port: int
    superset_port: int
    start_process: Starter
    output: list[str] = field(default_factory=list)

    def start(self, part: str, *words: str) -> subprocess.Popen[str]:
        """Start a part with the words that the plan gives it, or with others."""
        container = self.containers[part]
        variables = dict(container.variables)
        for name, secret in container.secrets.items():
            variables[name] = self.credentials.secret(secret).replace(
                ":5432/", f":{self.catalog_port}/"
            )
        if "LAVRA_SERVICE_PORT" in variables:
            variables["LAVRA_SERVICE_PORT"] = str(self.service_port)
        if "LAVRA_SERVICE_URL" in variables:
            # Here is no metadata server, which would give Superset's account a token.
            url = f"http://127.0.0.1:{self.service_port}"
            variables |= {"LAVRA_SERVICE_URL": url, "LAVRA_SUPERSET_SERVICE_AUTH": ""}
            variables["LAVRA_SUPERSET_PORT"] = str(self.superset_port)
        variables["STORAGE_EMULATOR_HOST"] = self.emulator
        mounts = {}
        for name, path in container.mounts.items():
            folder = self.volumes / (name if name == "catalog-ca" else f"{part}-{name}")
            folder.mkdir(exist_ok=True)
            mounts[path] = str(folder)
        return self.start_process(part, words or container.words, variables, mounts)

    def run(self, part: str, *words: str) -> str:
        """Run a part to its end and return what it printed."""
        process = self.start(part, *words)
        try:
            said, complaint = process.communicate(timeout=900)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        self.output.append(said + complaint)
        assert process.returncode == 0, f"{part} {words}: {said}\n{complaint}"
        return said

    def query(self, sql: str, key: str) -> httpx.Response:
        """Ask the service."""
        return httpx.post(
            f"http://127.0.0.1:{self.service_port}/v1/sql",
            json={"sql": sql},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        )


@contextmanager
def cloud_lake(
    folder: Path, plan: dict[str, Any], emulator: str, start_process: Starter
) -> Iterator[CloudLake]:
    """Run what the parts need of Google, and yield the lake with nothing in it."""
    containers = dict(_containers(plan))
    bucket = re.fullmatch(r"gs://([\w-]+)", containers["service"].variables["LAVRA_LAKE_URL"])
    assert bucket
    made = httpx.post(f"{emulator}/storage/v1/b", json={"name": bucket[1]}, trust_env=False)
    assert made.status_code in {200, 409}, made.text
    cloud, volumes = folder / "cloud", folder / "volumes"
    for each in (cloud, volumes, volumes / "catalog-ca"):
        each.mkdir()
    authority = trustme.CA()
    pem = authority.cert_pem.bytes().decode()
    credentials = Credentials(cloud, pem)
    with password_server(folder / "server") as server:
        sql = credentials.run(given=_catalog_output(plan)).stdout
        for container in containers.values():  # as docs/deploy.md makes Superset's own
            for name, secret in container.secrets.items():
                if name != "LAVRA_CATALOG_URL":
                    (cloud / "secrets" / secret).write_text(f"{secret}-{'0123456789' * 4}")
        with psycopg.connect(as_admin(server), autocommit=True) as admin:
            admin.execute(sql)
        (volumes / "catalog-ca" / "ca.pem").write_text(credentials.secret("lavra-dev-catalog-ca"))
        with _behind_tls(authority, server) as port:
            yield CloudLake(
                containers, credentials, volumes, emulator, port, free_port(), free_port(),
                start_process,
            )  # fmt: skip


def start_here(project: Path) -> Starter:
    """Return a starter of processes on this machine, where volumes are folders elsewhere."""

    def start(
        part: str,  # noqa: ARG001
        words: Sequence[str],
        variables: dict[str, str],
        mounts: dict[str, str],
    ) -> subprocess.Popen[str]:
        for path, folder in mounts.items():
            variables = {k: v.replace(path, folder) for k, v in variables.items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAVRA_", "STORAGE_"))}
        return subprocess.Popen(
            [str(PROGRAMS / words[0]), *words[1:]],
            cwd=project,
            env={**kept, **variables, "LAVRA_PROJECT": str(project)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pipesize=LOG_BYTES,
        )

    return start


def make_project(root: Path) -> Path:
    """Write a project as ``lavra init`` does, of one CSV file, with a policy for readers."""
    root.mkdir()
    csv = root / "orders.csv"
    csv.write_text(CSV)
    subprocess.run(
        [str(PROGRAMS / "lavra"), "init", str(root / "shop"), "--csv", str(csv)],
        env={**os.environ, "LAVRA_STATE_DIR": str(root / "init-state")},
        check=True,
        capture_output=True,
        timeout=280,
    )
    return root / "shop"


def _containers(plan: dict[str, Any]) -> Iterator[tuple[str, Container]]:
    for change in plan["resource_changes"]:
        after = change["change"]["after"]
        if change["type"] == "google_cloud_run_v2_service":
            part = change["address"].split(".module.", 1)[1].split(".", 1)[0].split("[")[0]
            yield part.removeprefix("query_"), _container(after["template"][0]["containers"][0])
        elif change["type"] == "google_cloud_run_v2_job" and "module.jobs[" in change["address"]:
            part = change["address"].split('module.jobs["', 1)[1].split('"', 1)[0]
            yield part, _container(after["template"][0]["template"][0]["containers"][0])
        elif change["address"].endswith("google_cloud_run_v2_job.bootstrap"):
            job = after["template"][0]["template"][0]
            yield "superset-bootstrap", _container(job["containers"][0])


def _container(planned: dict[str, Any]) -> Container:
    words = planned["command"] or ["lavra", *planned["args"]]  # an image's entry point
    return Container(
        tuple(words),
        # What is known after apply, the service's address, is left empty.
        {v["name"]: v.get("value", "") for v in planned["env"] if not v["value_source"]},
        {
            v["name"]: v["value_source"][0]["secret_key_ref"][0]["secret"]
            for v in planned["env"]
            if v["value_source"] and v["name"].startswith("LAVRA_")
        },
        {mount["name"]: mount["mount_path"] for mount in planned["volume_mounts"]},
    )


def _catalog_output(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what `terraform output catalog_credentials` will say; the address comes with apply."""
    planned: dict[str, Any] = plan["output_changes"]["catalog_credentials"]["after"]
    return {**planned, "host": "127.0.0.1"}


@contextmanager
def _behind_tls(authority: trustme.CA, server: LocalPostgres) -> Iterator[int]:
    port = free_port()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with tls_proxy(context, port, port_of(server)):
        yield port
