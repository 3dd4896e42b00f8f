"""`lavra status` says how columns changed; the smaller `lavra ingest` commands work."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lavra.catalog import Catalog
from lavra.cli.main import build_app

STOCK = {
    "name": "stock", "description": "d", "owner": "o",
    "source": {"connector": "csv", "config": {"root": "."}},
    "streams": [{"name": "items", "path": "items.csv"}],
}  # fmt: skip


def test_new_gone_and_retyped_columns_are_named(
    project: Path,
    catalog: Catalog,  # noqa: ARG001 - left at the end
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(project)
    path = project / "airbyte" / "connections" / "stock.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(STOCK))
    for text in ("id,price,old\n1,2,x\n", "id,price,fresh\n1,2.5,true\n"):
        (project / "items.csv").write_text(text)
        landed = CliRunner().invoke(build_app(), ["ingest", "run", "stock"])
        assert landed.exit_code == 0, landed.output
    for command in (["compact", "--json"], ["watch", "--once", "--no-models"], ["schema"]):
        done = CliRunner().invoke(build_app(), ["ingest", *command])
        assert done.exit_code == 0, done.output
    assert (project / "airbyte" / "connection.schema.json").exists()
    shown = CliRunner().invoke(build_app(), ["status"]).output
    assert "stock.items: column fresh is new (boolean)" in shown
    assert "stock.items: column old is gone" in shown
    assert "stock.items: column price was integer, is decimal" in shown
