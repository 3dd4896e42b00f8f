"""Fixtures shared by all tests: a project, its catalog, and storage of both kinds."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.settings import Settings, load_settings
from lavra.storage import LakeStorage, open_storage
from tests.lake_project import lake, lake_template

__all__ = ["lake", "lake_template"]  # fixtures

BUCKET = "lavra-test"
TESTS = Path(__file__).parent
ONE_WORKER = ("end_to_end", "infra", "lavra/dashboards")
"""Folders whose tests share something that takes long to start: one worker runs all of one."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell the workers (`pytest -n`) what stays together, and begin with what takes longest."""

    def group(item: pytest.Item) -> str:
        file = item.path.relative_to(TESTS)
        return next((f for f in ONE_WORKER if file.is_relative_to(f)), file.as_posix())

    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: group(item) not in ONE_WORKER)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own settings out of the tests."""
    for name in os.environ:
        if name.startswith("LAVRA_") or name == "STORAGE_EMULATOR_HOST":
            monkeypatch.delenv(name)


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
