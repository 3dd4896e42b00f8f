"""The JSON schema that editors use: committed as it is, and of one mind with `lint`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from pydantic import ValidationError

from lavra.landing.connections import Connection
from lavra.landing.schema import FILE, connection_schema, write_schema

REPOSITORY = Path(__file__).parents[3]
FULL: dict[str, Any] = {
    "name": "shop", "description": "d", "owner": "o", "namespace": "shop", "freshness": "26h",
    "source": {"connector": "postgres", "config": {"host": "h"}, "workload": "commerce"},
    "destination": {"name": "lake", "dialect": "v2"},
    "schedule": {"schedule_type": "cron", "cron_expression": "0 0 6 * * ? UTC"},
    "non_breaking_schema_updates_behavior": "ignore",
    "streams": [
        {
            "name": "orders", "namespace": "public", "sync_mode": "incremental_deduped_history",
            "cursor_field": "at", "cursor_lag": "5m", "primary_key": ["id"],
            "selected_fields": ["id", "at"], "types": {"price": "decimal(12,2)"},
            "freshness": "2d", "path": "a.csv",
            "format": {"delimiter": ";", "skip_lines": 1, "ragged_rows": "skip"},
            "mappers": [{"type": "hashing", "mapper_configuration": {}}],
        },
        {"name": "users", "sync_mode": "incremental_append", "cursor_field": "at"},
    ],
}  # fmt: skip
SIMPLE: dict[str, Any] = {
    "name": "shop", "description": "d", "owner": "o", "destination": "lake",
    "source": {"connector": "csv"}, "streams": [{"name": "a", "path": "a", "primary_key": "id"}],
}  # fmt: skip
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


def test_the_schema_and_lint_accept_the_same() -> None:
    validator = jsonschema_rs.validator_for(connection_schema())
    differ, accepted, refused = [], 0, 0
    for document in (FULL, SIMPLE):
        for what, mutated in mutations(document):
            try:
                Connection.model_validate(mutated)
                linted = True
            except ValidationError:
                linted = False
            accepted, refused = accepted + linted, refused + (not linted)
            if validator.is_valid(mutated) != linted:
                differ.append(f"{what}: lint says {linted}")
    assert differ == []
    assert accepted > 20
    assert refused > 300


def test_the_shipped_connections_fit_and_name_the_schema() -> None:
    validator = jsonschema_rs.validator_for(connection_schema())
    for path in (REPOSITORY / "airbyte" / "connections").glob("*.yaml"):
        text = path.read_text()
        assert validator.is_valid(yaml.safe_load(text)), path
        named = text.splitlines()[0].split("$schema=")[1]
        assert (path.parent / named).resolve() == REPOSITORY / FILE


def test_the_committed_schema_is_current(tmp_path: Path) -> None:
    """If this fails: `lavra ingest schema`."""
    committed = json.loads((REPOSITORY / FILE).read_text())
    assert committed == connection_schema()
    assert json.loads(write_schema(tmp_path).read_text()) == committed


def test_every_key_is_described() -> None:
    schema = connection_schema()
    bare = [
        f"{where}.{key}"
        for where, model in {"": schema, **schema["$defs"]}.items()
        for key, told in model.get("properties", {}).items()
        if "description" not in told
    ]
    assert bare == []
