"""The whole lake, started once by `lavra up` as a person starts it, on a small shop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.dashboards.superset import admin_credentials
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.settings import load_settings
from lavra.storage import open_storage
from lavra.workloads.commerce.source import DATABASE, ensure_source, leave, source_server
from tests.conftest import free_port
from tests.sqlmesh_project.independent import IndependentShop

ROOT = Path(__file__).parents[2]
DECLARATIONS = ("access", "airbyte", "sqlmesh_project", "superset", "lavra.toml")
PROGRAMS = Path(sys.executable).parent
SCALE = "0.02"


@dataclass
class RunningLake:
    """A lake that runs, with what a person does to it."""

    root: Path
    environment: dict[str, str]
    service_port: int
    superset_port: int
    output: list[str] = field(default_factory=list)
    # One client for all: making one reads the machine's certificates, 50 ms of processor time.
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program of our environment in the project, as on a shell."""
        done = subprocess.run(
            [str(PROGRAMS / words[0]), *words[1:]],
            cwd=self.root, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.output.append(done.stdout + done.stderr)
        assert not check or done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done

    def sqlmesh(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a SQLMesh command."""
        return self.command("sqlmesh", "-p", "sqlmesh_project", *words, check=check)

    def query(self, sql: str) -> dict[str, Any]:
        """Ask the service; the answer as the contract has it."""
        answer = self.client.post(f"http://127.0.0.1:{self.service_port}/v1/sql", json={"sql": sql})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        """The lake's catalog, whose server the running lake keeps."""
        opened = open_catalog(load_settings(self.root))
        try:
            yield opened
        finally:
            if opened.server:
                opened.server.leave()

    def lake(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask DuckLake itself: what is there, released or not."""
        storage = open_storage(load_settings(self.root))
        with self.catalog() as catalog, connect_duckdb(storage) as connection:
            attach_lake(connection, catalog, storage, read_only=True)
            connection.execute("USE lake")
            return connection.execute(statement).fetchall()

    def independent_shop(self) -> IndependentShop:
        """Gold's facts, computed from the source itself."""
        settings = load_settings(self.root, workload_scale=float(SCALE))
        source = ensure_source(settings)
        try:
            return IndependentShop(source.url, source.catalogue, settings.time_zone)
        finally:
            leave(settings)

    def source(self) -> psycopg.Connection:
        """Connect to the shop's own database."""
        settings = load_settings(self.root)
        return psycopg.connect(source_server(settings).url(DATABASE), autocommit=True)


class Superset:
    """Superset's own HTTP API, logged in as the administrator that `lavra up` names."""

    def __init__(self, lake: RunningLake) -> None:
        url = f"http://127.0.0.1:{lake.superset_port}"
        self.client = httpx.Client(base_url=url, timeout=120)
        username, password = admin_credentials(load_settings(lake.root))
        login = self.client.post(
            "/api/v1/security/login",
            json={"username": username, "password": password, "provider": "db", "refresh": True},
        )
        assert login.status_code == 200, login.text
        self.client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"

    def charts(self) -> dict[str, int]:
        """Return the number of each chart of the shop's dashboard by its name."""
        found = self.client.get("/api/v1/dashboard/commerce/charts").json()["result"]
        return {chart["slice_name"]: chart["id"] for chart in found}

    def rows(self, chart: int) -> list[dict[str, Any]]:
        """Return what a chart shows now, past Superset's cache."""
        answer = self.client.get(f"/api/v1/chart/{chart}/data/?force=true")
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"][0]
        assert result["status"] == "success", result
        rows: list[dict[str, Any]] = result["data"]
        return rows


def copy_declarations(root: Path, *left_out: str) -> Path:
    """Copy this repository's declarations, without files and folders of these names."""
    root.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", ".cache", "logs", *left_out)
    for name in DECLARATIONS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copy2(source, root / name)
    return root


@contextmanager
def lake_up(root: Path, *options: str, **variables: str) -> Iterator[RunningLake]:
    """Run a lake by `lavra up` for a block; nothing of it is left afterwards.

    Args:
        root: Of its declarations.
        options: Of the command.
        variables: Of the environment, beside the ports.
    """
    service_port, superset_port = free_port(), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAVRA_")} | {
        "LAVRA_SERVICE_PORT": str(service_port),
        "LAVRA_SUPERSET_PORT": str(superset_port),
        **variables,
    }
    lake = RunningLake(root, environment, service_port, superset_port)
    try:
        lake.command("lavra", "up", "--detach", *options)
        yield lake
    finally:
        lake.client.close()
        lake.command("lavra", "down", check=False)
    assert processes_of(root) == []


@pytest.fixture(scope="session")
def running_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLake]:
    """The shipped lake with a small shop, from source to Superset."""
    root = copy_declarations(tmp_path_factory.mktemp("up") / "lake")
    with lake_up(root, LAVRA_WORKLOAD_SCALE=SCALE) as lake:
        yield lake


def processes_of(root: Path) -> list[str]:
    """Return the command lines of the processes that work in a project's folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        if str(root) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(words)
    return found


@pytest.fixture(scope="session")
def superset(running_lake: RunningLake) -> Iterator[Superset]:
    """Superset of the running lake."""
    api = Superset(running_lake)
    yield api
    api.client.close()
