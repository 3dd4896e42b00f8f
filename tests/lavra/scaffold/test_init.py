"""`lavra init`, from its arguments to the folder it leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from csv_files import PRODUCTS, Init, WriteCsv
from typer.testing import CliRunner, Result

from lavra.cli.main import build_app
from lavra.errors import ConfigurationError, LavraError
from lavra.scaffold import writing
from lavra.scaffold.project import plan_project
from lavra.settings import load_settings


def lavra(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def files_in(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_the_sample_becomes_a_project(tmp_path: Path) -> None:
    folder = tmp_path / "My shop"
    result = lavra("init", folder, "--time-zone", "America/Sao_Paulo")

    assert result.exit_code == 0, result.output
    written = files_in(folder)
    assert {
        ".gitignore",
        "README.md",
        "airbyte/connection.schema.json",
        "airbyte/connections/files.yaml",
        "airbyte/stream.schema.json",
        "data/sales.csv",
        "lavra.toml",
        "sqlmesh_project/config.py",
        "sqlmesh_project/models/bronze/my_shop/sales.sql",
        "sqlmesh_project/models/gold/my_shop/daily_sales.sql",
        "sqlmesh_project/models/silver/my_shop/sales.sql",
        "sqlmesh_project/tests/test_sales.yaml",
    } <= written
    assert all(name in result.stdout for name in written)
    assert f"cd '{folder}' && lavra up" in result.stdout
    settings = load_settings(folder)
    assert (settings.name, settings.time_zone) == ("my_shop", "America/Sao_Paulo")
    assert [entry.name for entry in tmp_path.iterdir()] == ["My shop"]
    connection = folder / "airbyte/connections/files.yaml"
    first = connection.read_text().splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((connection.parent / named).read_text())
    jsonschema_rs.validate(schema, yaml.safe_load(connection.read_text()))


def test_small_files_are_copied_and_big_ones_read_where_they_are(
    tmp_path: Path, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, big = write_csv("small.csv", PRODUCTS), write_csv("big.csv", PRODUCTS * 1)
    with big.open("a") as stream:
        stream.writelines(f"{n},x{n},y\n" for n in range(6, 400))
    monkeypatch.setattr("lavra.scaffold.sources.COPIED_BYTES", 1000)

    result = lavra("init", tmp_path / "shop", "--csv", small, "--csv", big)

    assert result.exit_code == 0, result.output
    assert files_in(tmp_path / "shop" / "data") == {"small.csv"}
    assert f"{big} is read where it is" in result.stdout
    connection = (tmp_path / "shop/airbyte/connections/given.yaml").read_text()
    assert f"root: {big.parent}" in connection


def test_in_place_copies_nothing(write_csv: WriteCsv, init: Init) -> None:
    folder = init(write_csv("products.csv", PRODUCTS), in_place=True)
    assert not (folder / "data").exists()


def test_a_folder_that_holds_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = lavra("init", tmp_path)
    assert isinstance(result.exception, ConfigurationError)
    assert "mine.txt" in result.exception.message
    assert "--force" in str(result.exception.remedy)
    assert files_in(tmp_path) == {"mine.txt"}


def test_force_adds_to_a_folder_and_keeps_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "mine.txt").write_text("mine")
    assert lavra("init", folder, "--force").exit_code == 0
    assert (folder / "data" / "mine.txt").read_text() == "mine"
    assert (folder / "data" / "sales.csv").is_file()


def test_force_overwrites_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    result = lavra("init", folder, "--force")
    assert isinstance(result.exception, ConfigurationError)
    assert "README.md" in result.exception.message
    assert files_in(folder) == {"README.md"}
    assert (folder / "README.md").read_text() == "mine"


def test_a_fresh_git_repository_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    assert lavra("init", tmp_path / "shop").exit_code == 0


def test_the_current_folder_may_become_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert lavra("init", ".").exit_code == 0
    assert load_settings(tmp_path / "here").name == "here"


@pytest.mark.parametrize("exists", [False, True])
def test_a_failure_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    folder = tmp_path / "shop"
    if exists:
        folder.mkdir()
    project = plan_project([], name="shop")
    real, calls = os.link, []

    def fails_late(*arguments: Path) -> None:
        calls.append(arguments)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        real(*arguments)

    def fails(*_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", fails_late)
    if not exists:
        monkeypatch.setattr(writing.shutil, "copyfile", fails)
    with pytest.raises(ConfigurationError, match="No space left"):
        writing.write_project(project, folder)
    assert files_in(tmp_path) == set()
    assert [entry.name for entry in tmp_path.iterdir()] == (["shop"] if exists else [])
    assert not exists or list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "Two Words"), "name"),
        (("--time-zone", "Mars/Olympus"), "not an IANA time zone"),
        (("--csv", "missing.csv"), "missing.csv cannot be read"),
        (("--csv", "."), "cannot be read"),
        (("--csv", "binary.csv"), "binary.csv"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 40)
    result = lavra("init", "shop", *arguments)
    assert isinstance(result.exception, LavraError), result.output
    assert said in result.exception.message
    assert files_in(tmp_path) == {"binary.csv"}
