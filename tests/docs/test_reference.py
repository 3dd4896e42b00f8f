"""A setting, a command or an error that is not documented fails here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from lavra.cli.main import build_app
from lavra.errors import LavraError, QueryError
from lavra.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def rows(page: str) -> list[list[str]]:
    """The cells of the page's table rows whose first cell is code."""
    lines = (DOCS / page).read_text().splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in (line.replace("| | ", "|  | ") for line in lines)
        if line.startswith("| `")
    ]


def test_every_setting_is_documented_with_its_default() -> None:
    expected = {}
    for name, field in Settings.model_fields.items():
        if name == "project":
            continue  # found, or named by LAVRA_PROJECT: the page says so in words
        variable = str(field.validation_alias or f"LAVRA_{name.upper()}")
        default = field.default
        if hasattr(default, "get_secret_value"):
            default = default.get_secret_value()
        if isinstance(default, (tuple, list, dict)):
            default = json.dumps(default)
        if isinstance(default, bool):
            default = str(default).lower()
        expected[variable] = f"`{default}`" if default not in {None, ""} else ""
    documented = {row[0].strip("`"): row[1] for row in rows("settings.md")}

    assert documented == expected
    assert all(row[2] for row in rows("settings.md"))


def commands(command: Any, path: str) -> Iterator[str]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from commands(child, f"{path} {name}")
        elif not child.hidden:
            yield f"{path} {name}"


def test_every_command_is_documented() -> None:
    existing = set(commands(typer.main.get_command(build_app()), "lavra"))
    documented = {
        re.split(r" (?:[A-Z\[-]|\"|\.\.\.)", row[0].strip("`"))[0] for row in rows("cli.md")
    }

    assert documented == existing
    assert all(row[1] for row in rows("cli.md"))


def subclasses(error: type[LavraError]) -> Iterator[type[LavraError]]:
    if error is not QueryError:
        yield error
    for child in error.__subclasses__():
        if child.__module__ == "lavra.errors":
            yield from subclasses(child)


def test_every_error_is_documented() -> None:
    expected = sorted(
        [f"`{e.code}`", f"`{e.__name__}`", str(e.status), "yes" if e.retryable else "no"]
        for e in subclasses(LavraError)
    )

    assert sorted(row[:4] for row in rows("errors.md")) == expected
    assert all(row[4] for row in rows("errors.md"))
