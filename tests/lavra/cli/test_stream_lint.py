"""`lavra stream lint` names what is wrong in every file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lavra.cli.main import build_app

GOOD = """
name: good
description: d
owner: o
source: {connector: postgres, workload: aviation}
tables: [public.a]
"""
WRONG = """
name: wrong
description: d
owner: o
source:
  connector: postgres
  config:
    host: ${HOST}
    port: ${PORT:-5432}
    databse: fleet
    username: 17
tables:
  - public.a
  - public.b
  - public.a
slot:
  wal_limit_mb: 512
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
    assert "typo.yaml is wrong: line 2: tables: this key is missing; line 6: table: " in done.output


def test_what_is_wrong_is_named_by_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    folder = project / "airbyte" / "streams"
    folder.mkdir(parents=True)
    path = folder / "wrong.yaml"

    def said(text: str) -> str:
        path.write_text(text)
        done = CliRunner().invoke(build_app(), ["stream", "lint"])
        return done.output if done.exit_code else ""

    config = said(WRONG)
    assert "wrong.yaml is wrong: " in config
    assert "line 10: source.config.databse: there is no such key here" in config
    assert "line 7: source.config.database: this key is missing" in config
    assert "line 11: source.config.username: " in config
    assert "port" not in config
    right = WRONG.replace("databse", "database").replace("17", "lavra")
    assert "line 15: tables.2: public.a stands here twice" in said(right)
    right = right.replace("  - public.b\n  - public.a", "  - public.b")
    assert "line 16: slot.wal_limit_mb: it must not be below wal_alarm_mb" in said(right)
    assert said(right.replace("512", "2048")) == ""
    path.rename(path.with_suffix(".yml"))
    done = CliRunner().invoke(build_app(), ["stream", "lint"])
    assert "wrong.yml is not read. Rename it to wrong.yaml." in done.output


def test_schema_writes_what_editors_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert CliRunner().invoke(build_app(), ["stream", "schema"]).exit_code == 0
    assert (project / "airbyte" / "stream.schema.json").exists()
