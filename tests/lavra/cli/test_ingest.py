"""`lavra ingest`, as a person and as a program call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lavra.catalog import Catalog
from lavra.cli.main import build_app
from lavra.errors import ConfigurationError

CONNECTION = """\
name: files
description: d
owner: o
source: {connector: csv, config: {root: data}}
streams:
  - {name: good, path: good.csv}
  - {name: bad, path: bad.csv}
"""


@pytest.fixture
def here(project: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - left at the end
    """The current folder: a project with a connection of one good and one bad file."""
    (project / "airbyte" / "connections").mkdir(parents=True)
    (project / "airbyte" / "connections" / "files.yaml").write_text(CONNECTION)
    (project / "data").mkdir()
    (project / "data" / "good.csv").write_text("id,city\n1,Belém\n")
    (project / "data" / "bad.csv").write_text("id\n1,2\n")
    monkeypatch.chdir(project)
    return project


def call(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["ingest", *arguments])


def test_run_lands_what_it_can_and_fails_for_the_rest(here: Path) -> None:
    failed = call("run", "files", "--json")
    assert failed.exit_code == 1
    results = {one["stream"]: one for one in json.loads(failed.stdout)}
    assert (results["good"]["row_count"], results["good"]["error"]) == (1, None)
    assert "line 2 has 2" in results["bad"]["error"]
    assert "files.good: 1 rows" in failed.stderr
    assert "ragged_rows: skip" in failed.stderr
    (here / "data" / "bad.csv").write_text("id\n1\n")
    assert call("run", "--all").exit_code == 0
    assert call("run", "files", "--stream", "good", "--full-refresh").exit_code == 0
    statuses = json.loads(call("status", "--json").stdout)
    assert [(one["stream"], one["row_count"]) for one in statuses] == [("good", 1), ("bad", 1)]
    assert "files.good" in call("status").stdout


@pytest.mark.usefixtures("here")
def test_run_wants_names_or_all() -> None:
    for arguments in (["run"], ["run", "files", "--all"], ["run", "nope"]):
        result = call(*arguments)
        assert result.exit_code == 1
        assert isinstance(result.exception, ConfigurationError)


def test_lint(here: Path) -> None:
    assert call("lint").exit_code == 0
    path = here / "airbyte" / "connections" / "files.yaml"
    path.write_text(CONNECTION.replace("owner", "ownr"))
    result = call("lint")
    assert result.exit_code == 1
    assert "line 3: ownr" in result.stdout.replace("\n", " ")
    assert len(json.loads(call("lint", "--json").stdout)) == 1
