"""Fixtures shared by all tests: a project, its catalog, and storage of both kinds."""

from __future__ import annotations

import os
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.settings import Settings, load_settings
from lavra.storage import LakeStorage, open_storage
from tests.lake_project import lake, lake_template

__all__ = ["lake", "lake_template"]  # fixtures

BUCKET = "lavra-test"

# SQLMesh loads models in forked processes; forking a test process that has threads of DuckDB or
# DataFusion can crash the child. Read when SQLMesh is imported.
os.environ["MAX_FORK_WORKERS"] = "1"

ONE_WORKER = ("end_to_end", "lavra/dashboards", "infra")
"""Folders whose tests share something that takes long to start: one worker runs all of one."""

LONGEST = tuple(f"tests/{folder}/" for folder in (*ONE_WORKER, "sqlmesh_project"))


def _group(file: str) -> str:
    return next((folder for folder in ONE_WORKER if file.startswith(f"tests/{folder}/")), file)


def pytest_configure(config: pytest.Config) -> None:
    """Let the property tests of `make test` try the same each time; `make soak` goes on looking."""
    hypothesis.settings.register_profile("same", derandomize=True)
    if "not soak" in config.getoption("markexpr", default=""):
        hypothesis.settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the workers (`pytest -n 2`) whole files, and whole folders of ONE_WORKER."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid.split("::", 1)[0])

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    for name in os.environ:
        if name.startswith("LAVRA_") or name == "STORAGE_EMULATOR_HOST":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _initialise_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the files of a new Postgres once, and copy them for each server of this process."""
    template = tmp_path_factory.mktemp("postgres") / "template"
    initialise = LocalPostgres._initialise

    def copied(server: LocalPostgres) -> None:
        if server.data.exists():
            initialise(server)
        elif not template.exists():
            initialise(server)
            subprocess.run(["cp", "-a", str(server.data), str(template)], check=True)
        else:
            server.data.mkdir(mode=0o700)
            if server._system_user:
                server._open_to_system_user()
            subprocess.run(["cp", "-a", f"{template}/.", str(server.data)], check=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalPostgres, "_initialise", copied)
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The root of an empty project."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "lavra.toml").write_text('name = "test"\n')
    return root


@pytest.fixture
def settings(project: Path) -> Settings:
    """Settings of an empty project on local storage, with a catalog of its own."""
    return load_settings(project)


@pytest.fixture
def catalog(settings: Settings) -> Iterator[Catalog]:
    """A running, migrated, empty catalog."""
    opened = open_catalog(settings)
    yield opened
    if opened.server:
        opened.server.leave()


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[str]:
    """The address of a Cloud Storage emulator with an empty bucket."""
    from gcp_storage_emulator.server import create_server

    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def gcs_settings(project: Path, gcs_emulator: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty project whose lake is a fresh prefix of the emulated bucket."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_emulator)
    monkeypatch.setenv("LAVRA_LAKE_URL", f"gs://{BUCKET}/{uuid.uuid4().hex}")
    return load_settings(project)


@pytest.fixture(params=["file", "gs"])
def storage(request: pytest.FixtureRequest) -> LakeStorage:
    """The lake's storage, once on local disk and once in a bucket."""
    name = "gcs_settings" if request.param == "gs" else "settings"
    return open_storage(request.getfixturevalue(name))


def free_port() -> int:
    """Return a TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
