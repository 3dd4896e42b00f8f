"""YAML with line numbers, so that what is wrong with a declaration can be found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from lavra.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """A YAML file's content, and the line on which each key of it stands."""

    path: Path
    content: Any
    lines: dict[KeyPath, int]

    def line_of(self, key: KeyPath) -> int:
        """Return the line of a key, or of the nearest one around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def load_yaml(path: Path) -> YamlFile:
    """Read a YAML file.

    Raises:
        ConfigurationError: it is missing, empty, no YAML, or says a key twice.
    """
    try:
        text = path.read_text("utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no {path}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not written in UTF-8: {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(
            f"{path}, line {line}: not valid YAML: {error.problem}.",
            remedy="Check the indentation and the quotes on that line and the one before.",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}.") from error
    if root is None:
        raise ConfigurationError(f"{path} is empty.")
    lines: dict[KeyPath, int] = {}
    _walk(path, root, (), lines)
    return YamlFile(path, content, lines)


def validated(model: type[Model], file: YamlFile, *, manual: str = "docs/ingestion.md") -> Model:
    """Return a file's content as a model; ``manual`` is the page that describes it.

    Raises:
        ConfigurationError: it breaks the model; the message names every place.
    """
    try:
        return model.model_validate(file.content)
    except ValidationError as error:
        problems = []
        found = error.errors(include_input=False, include_url=False)
        for each in found:
            key = (*each["loc"], *each.get("ctx", {}).get("place", ()))
            # A list of which every item is wrong counts as empty: its items are what matters.
            if each["type"] == "too_short" and any(
                len(other["loc"]) > len(key) and other["loc"][: len(key)] == key for other in found
            ):
                continue
            name = ".".join(map(str, key)) or "the file"
            problems.append(f"line {file.line_of(key)}: {name}: {_plain(each)}")
        known = ", ".join(model.model_fields)
        raise ConfigurationError(
            f"{file.path} is wrong: {'; '.join(problems)}.",
            remedy=f"{manual} describes every key; at the top stand {known}.",
        ) from error


def misplaced(message: str, *place: str | int) -> PydanticCustomError:
    """Return an error for a model's validator to raise about a place further in."""
    return PydanticCustomError("misplaced", "{message}", {"message": message, "place": place})


def _plain(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "there is no such key here"
    if error["type"] == "missing":
        return "this key is missing"
    return str(error["msg"]).removeprefix("Value error, ")


def _walk(path: Path, node: yaml.Node, key: KeyPath, lines: dict[KeyPath, int]) -> None:
    lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = (*key, str(name.value))
            if inner in lines:
                raise ConfigurationError(
                    f"{path}, line {name.start_mark.line + 1}: {name.value} stands here twice.",
                    remedy="Keep one of them.",
                )
            lines[inner] = name.start_mark.line + 1
            _walk(path, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            _walk(path, value, (*key, place), lines)
