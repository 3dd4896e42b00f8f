"""`lavra stream lint` names what is wrong in every file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lavra.cli.main import build_app

GOOD = """
name: good
description: d
owner: o
source: {connector: postgres}
tables: [public.a]
"""


def test_every_wrong_file_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    folder = project / "airbyte" / "streams"
    folder.mkdir(parents=True)
    (folder / "good.yaml").write_text(GOOD)
    assert CliRunner().invoke(build_app(), ["stream", "lint"]).exit_code == 0
    (folder / "other.yaml").write_text(GOOD)
    (folder / "typo.yaml").write_text(GOOD.replace("tables", "table"))
    done = CliRunner().invoke(build_app(), ["stream", "lint"])
    assert done.exit_code == 1
    assert "other.yaml: name is good" in done.output
    assert "typo.yaml" in done.output
    assert "table" in done.output
