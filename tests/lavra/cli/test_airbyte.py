"""`lavra ingest plan|apply|import|destroy` as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from lavra.catalog import Catalog
from lavra.cli.main import build_app
from lavra.errors import ConfigurationError
from tests.lavra.airbyte.contract_server import CLIENT, WORKSPACE, Airbyte, contract_server

DESTINATION = """
name: lake
description: Somewhere.
connector: dev-null
definition_id: 11111111-0000-0000-0000-000000000000
config: {}
"""
CONNECTION = """
name: people
description: Made up.
owner: o
source: {connector: faker, config: {count: 10}}
streams: [{name: users}]
"""


@pytest.fixture
def airbyte(
    project: Path,
    catalog: Catalog,  # noqa: ARG001 - left at the end
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Airbyte]:
    monkeypatch.chdir(project)
    for folder, name, text in (
        ("destinations", "lake", DESTINATION),
        ("connections", "people", CONNECTION),
    ):
        path = project / "airbyte" / folder / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    with contract_server() as (url, state):
        monkeypatch.setenv("LAVRA_AIRBYTE_URL", url)
        monkeypatch.setenv("LAVRA_AIRBYTE_WORKSPACE_ID", WORKSPACE)
        monkeypatch.setenv("LAVRA_AIRBYTE_CLIENT_ID", CLIENT[0])
        monkeypatch.setenv("LAVRA_AIRBYTE_CLIENT_SECRET", CLIENT[1])
        yield state


def ingest(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["ingest", *arguments])


def test_from_a_plan_to_a_destroy(airbyte: Airbyte, project: Path) -> None:
    planned = ingest("plan", "--check")
    assert planned.exit_code == 2
    assert "+ source people" in planned.stdout
    applied = ingest("apply")
    assert applied.exit_code == 0, applied.output
    assert "Applied 3 changes." in applied.stdout
    again = ingest("plan", "--check", "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout) == {"changes": [], "new_streams": {}}

    (project / "airbyte" / "connections" / "people.yaml").unlink()
    refused = ingest("apply")
    assert isinstance(refused.exception, ConfigurationError)
    assert "--yes" in str(refused.exception)
    assert len(airbyte.connections) == 1

    destroyed = ingest("destroy", "--yes")
    assert destroyed.exit_code == 0, destroyed.output
    assert (airbyte.sources, airbyte.destinations, airbyte.connections) == ({}, {}, {})
    assert "nothing of ours" in ingest("destroy").stdout


def test_what_is_there_is_imported_and_taken_over(
    airbyte: Airbyte, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = airbyte.put_actor("source", {
        "name": "shop", "workspaceId": WORKSPACE,
        "configuration": {
            "sourceType": "postgres", "host": "h", "port": 5432, "database": "d",
            "username": "u", "password": "hidden", "ssl_mode": {"mode": "require"},
        },
    }, None)  # fmt: skip
    destination = airbyte.put_actor("destination", {
        "name": "bucket", "workspaceId": WORKSPACE,
        "configuration": {
            "destinationType": "dev-null",
            "test_destination": {"test_destination_type": "SILENT"},
        },
    }, None)  # fmt: skip
    airbyte.put_connection({
        "name": "shop", "sourceId": source["sourceId"],
        "destinationId": destination["destinationId"],
        "namespaceDefinition": "custom_format", "namespaceFormat": "shop",
        "nonBreakingSchemaUpdatesBehavior": "propagate_columns",
        "schedule": {"scheduleType": "cron", "cronExpression": "0 0 6 * * ?"},
        "configurations": {"streams": [
            {
                "name": "users", "syncMode": "incremental_deduped_history",
                "cursorField": ["updated_at"], "primaryKey": [["id"]],
            },
        ]},
    }, None)  # fmt: skip
    imported = ingest("import", "--owner", "me")
    assert imported.exit_code == 0, imported.output
    assert "SHOP_PASSWORD" in imported.stdout
    path = project / "airbyte" / "connections" / "shop.yaml"
    written = yaml.safe_load(path.read_text())
    assert written["source"]["config"]["password"] == "${SHOP_PASSWORD}"
    assert "hidden" not in path.read_text()
    assert isinstance(ingest("import").exception, ConfigurationError)  # it would write over them

    (project / "airbyte" / "connections" / "people.yaml").unlink()
    monkeypatch.setenv("SHOP_PASSWORD", "hidden")
    taken = ingest("apply", "--yes")
    assert taken.exit_code == 0, taken.output
    assert [len(s) for s in (airbyte.sources, airbyte.destinations, airbyte.connections)] == [1] * 3
    assert "No changes" in ingest("plan").stdout


def test_without_a_server_it_says_what_to_set(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    refused = ingest("plan")
    assert isinstance(refused.exception, ConfigurationError)
    assert "LAVRA_AIRBYTE_URL and LAVRA_AIRBYTE_WORKSPACE_ID" in str(refused.exception)
