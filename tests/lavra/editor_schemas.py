"""What every JSON schema for editors is held to: of one mind with lint, committed, described."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from pydantic import BaseModel, ValidationError

REPOSITORY = Path(__file__).parents[2]
WRONG: tuple[Any, ...] = (None, 17, 1.5, "??", "", [], {}, [[]], "Upper", "incremental_append")
FREE = {"config", "types", "mapper_configuration"}
CODE_ALONE = {"connector", "cron_expression", "path"}
"""Keys of which a part of the rules is only in the code: registry, cron, csv's need of a path."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list) and path[-1:] != ("config",):  # what is in it is free
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in list(pairs):
            yield from places(inner, (*path, key))


def changed(document: dict[str, Any], path: tuple[Any, ...], do: str, value: Any = None) -> Any:
    copy = deepcopy(document)
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    if do == "remove":
        del parent[path[-1]]
    elif do == "add":
        parent[path[-1]]["unknown_key"] = 1
    else:
        parent[path[-1]] = value
    return copy


def mutations(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The document itself, and with each of its keys wrong, gone, or with more in it."""
    yield "as it is", document
    for path in places(document):
        if path[-1] in CODE_ALONE:
            continue
        for value in WRONG:
            yield f"{path} = {value!r}", changed(document, path, "set", value)
        yield f"without {path}", changed(document, path, "remove")
        inner: Any = document
        for key in path:
            inner = inner[key]
        if isinstance(inner, dict) and path[-1] not in FREE:
            yield f"more in {path}", changed(document, path, "add")


def assert_of_one_mind(
    schema: dict[str, Any], model: type[BaseModel], mutated: Iterable[tuple[str, Any]]
) -> Counter[bool]:
    """Return how many of the documents lint accepts (True) and refuses (False)."""
    validator = jsonschema_rs.validator_for(schema)
    linted: Counter[bool] = Counter()
    differ = []
    for what, document in mutated:
        try:
            model.model_validate(document)
            accepted = True
        except ValidationError:
            accepted = False
        linted[accepted] += 1
        if validator.is_valid(document) != accepted:
            differ.append(f"{what}: lint says {accepted}")
    assert differ == []
    return linted


def assert_shipped_files_fit(schema: dict[str, Any], folder: str, file: str) -> None:
    """The files of ``airbyte/<folder>`` are valid, and name the schema in their first line."""
    validator = jsonschema_rs.validator_for(schema)
    paths = list((REPOSITORY / "airbyte" / folder).glob("*.yaml"))
    assert paths
    for path in paths:
        text = path.read_text()
        assert validator.is_valid(yaml.safe_load(text)), path
        named = text.splitlines()[0].split("$schema=")[1]
        assert (path.parent / named).resolve() == REPOSITORY / file


def assert_committed(
    schema: dict[str, Any], file: str, write: Callable[[Path], Path], to: Path
) -> None:
    committed = json.loads((REPOSITORY / file).read_text())
    assert committed == schema
    assert json.loads(write(to).read_text()) == committed


def assert_described(schema: dict[str, Any]) -> None:
    bare = [
        f"{where}.{key}"
        for where, model in {"": schema, **schema["$defs"]}.items()
        for key, told in model.get("properties", {}).items()
        if "description" not in told
    ]
    assert bare == []
