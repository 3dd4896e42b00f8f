"""The commands that the pages for operators show exist, with the options that they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from lavra.cli.main import build_app

DOCS = Path(__file__).parents[2] / "docs"


def shown(page: str) -> list[list[str]]:
    """Return the lavra commands of a page's blocks, as words, without comments."""
    blocks = re.findall(
        r"^ *```bash\n(.*?)^ *```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["lavra"]]


def refuse(command: Any, words: list[str]) -> str | None:
    """Return what is wrong with a command's words, or None."""
    words = list(words)
    while hasattr(command, "commands"):
        if not words or words[0] not in command.commands:
            return f"no command {words[:1]}"
        command = command.commands[words.pop(0)]
    options = {flag for parameter in command.params for flag in parameter.opts}
    unknown = {word.split("=")[0] for word in words if word.startswith("--")} - options
    return f"no option {sorted(unknown)}" if unknown else None


@pytest.mark.parametrize("page", ["runbook.md", "deploy.md"])
def test_every_shown_command_exists(page: str) -> None:
    app = typer.main.get_command(build_app())
    commands = shown(page)
    assert commands or page == "deploy.md"
    assert {shlex.join(words): refuse(app, words) for words in commands} == {
        shlex.join(words): None for words in commands
    }


def test_what_does_not_exist_is_found() -> None:
    app = typer.main.get_command(build_app())
    assert refuse(app, ["keys", "forget", "KEY"])
    assert refuse(app, ["keys", "rotate", "KEY", "--overlap", "1h"]) is None
    assert refuse(app, ["keys", "rotate", "KEY", "--never"])
