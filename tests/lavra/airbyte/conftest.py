"""A catalog for the tests of one file, a project's declarations, and the server they are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lavra.airbyte.apply import apply
from lavra.airbyte.desired import desired
from lavra.airbyte.plan import Change, Plan, make_plan
from lavra.airbyte.server import AirbyteServer
from lavra.airbyte.state import AirbyteState
from lavra.catalog import Catalog, open_catalog
from lavra.landing.connections import load_connections
from lavra.settings import load_settings
from tests.lavra.airbyte.contract_server import CLIENT, WORKSPACE, Airbyte, Offered, contract_server

MANIFEST = {"version": "6.0.0", "type": "DeclarativeSource", "streams": []}
LAKE = {
    "name": "lake",
    "description": "The bucket.",
    "connector": "gcs",
    "config": {
        "gcs_bucket_name": "b", "gcs_bucket_path": "bronze", "gcs_bucket_region": "us",
        "format": {"format_type": "Parquet"},
        "credential": {
            "credential_type": "HMAC_KEY", "hmac_key_access_id": "${HMAC_ID}",
            "hmac_key_secret": "${HMAC_SECRET}",
        },
    },
}  # fmt: skip
SECRETS = ("SHOP_PASSWORD", "HMAC_ID", "HMAC_SECRET", "ERP_TOKEN", "WEATHER_KEY")


class Steps:
    """Notes what an apply did."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def begins(self, change: Change) -> None:
        pass

    def done(self, change: Change) -> None:
        self.names.append(f"{change.action} {change.kind} {change.name}")


@dataclass
class Workspace:
    """A project and the server that it declares."""

    project: Path
    url: str
    airbyte: Airbyte
    server: AirbyteServer
    state: AirbyteState

    def declare(self, *connections: dict[str, Any]) -> None:
        """Replace the project's connections by these."""
        folder = self.project / "airbyte" / "connections"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.yaml"):
            old.unlink()
        for connection in connections:
            path = folder / f"{connection['name']}.yaml"
            path.write_text(yaml.safe_dump(connection, sort_keys=False))

    def plan(self) -> Plan:
        declared = load_connections(self.project)
        return make_plan(self.server, self.state, desired(self.project, declared))

    def apply(self) -> list[str]:
        """Apply, and return the steps."""
        steps = Steps()
        apply(self.server, self.state, self.plan(), steps)
        return steps.names


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    root = tmp_path_factory.mktemp("airbyte")
    (root / "lavra.toml").write_text('name = "test"\n')
    opened = open_catalog(load_settings(root))
    yield opened
    assert opened.server
    opened.server.leave()


@pytest.fixture
def catalog(shared: Catalog) -> Catalog:
    with shared.connect() as connection:
        connection.execute("delete from lavra.airbyte_resource")
    return shared


@pytest.fixture
def workspace(
    project: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    for name in SECRETS:
        monkeypatch.setenv(name, f"the-{name.lower()}")
    for folder, name, content in (
        ("destinations", "lake", LAKE),
        ("manifests", "weather", MANIFEST),
    ):
        path = project / "airbyte" / folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    with contract_server() as (url, airbyte):
        airbyte.offered["shop"] = [Offered("orders", "public"), Offered("users", "public")]
        server = AirbyteServer(url, WORKSPACE, client_id=CLIENT[0], client_secret=CLIENT[1])
        yield Workspace(project, url, airbyte, server, AirbyteState(catalog, WORKSPACE))
