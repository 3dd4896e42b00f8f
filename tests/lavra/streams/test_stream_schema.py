"""The streams' JSON schema: committed as it is, and of one mind with `lavra stream lint`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from pydantic import ValidationError

from lavra.streams.declarations import StreamDeclaration
from lavra.streams.schema import FILE, stream_schema, write_schema
from tests.lavra.landing.test_schema import changed, mutations

REPOSITORY = Path(__file__).parents[3]
CONFIG = {
    "host": "${HOST}", "port": "${PORT:-5432}", "database": "fleet", "username": "lavra",
    "password": "${PASSWORD}", "schemas": ["public"], "ssl_mode": "require",
}  # fmt: skip
FULL: dict[str, Any] = {
    "name": "fleet", "description": "d", "owner": "o",
    "source": {"connector": "postgres", "config": CONFIG, "workload": "aviation"},
    "tables": ["public.aircraft", "public.work_orders"],
    "batch": {"max_seconds": 1.5, "max_rows": 100, "max_bytes": 4096},
    "slot": {"wal_alarm_mb": 1, "wal_limit_mb": 8192},
}  # fmt: skip
SIMPLE: dict[str, Any] = {
    "name": "fleet", "description": "d", "owner": "o", "tables": ["public.aircraft"],
    "source": {"connector": "postgres", "workload": "aviation"},
}  # fmt: skip
REMOTE: dict[str, Any] = SIMPLE | {"source": {"connector": "postgres", "config": CONFIG}}


def mutated(document: dict[str, Any]) -> list[tuple[str, Any]]:
    found = list(mutations(document))
    for key in document["source"].get("config", {}):
        path = ("source", "config", key)
        found.append((f"without {key}", changed(document, path, "remove")))
        found += [
            (f"{key} = {value!r}", changed(document, path, "set", value))
            for value in (None, 17, "plain", "${NAME}", "a${NAME:-b}c", [], [[]], {})
        ]
    twice = changed(document, ("tables",), "set", ["public.a", "public.a"])
    return [*found, ("twice", twice)]


def test_schema_and_lint_accept_the_same_streams() -> None:
    validator = jsonschema_rs.validator_for(stream_schema())
    differ, accepted, refused = [], 0, 0
    for document in (FULL, SIMPLE, REMOTE):
        for what, mutation in mutated(document):
            try:
                StreamDeclaration.model_validate(mutation)
                linted = True
            except ValidationError:
                linted = False
            accepted, refused = accepted + linted, refused + (not linted)
            if validator.is_valid(mutation) != linted:
                differ.append(f"{what}: lint says {linted}")
    assert differ == []
    assert accepted > 60
    assert refused > 300


def test_the_shipped_streams_fit_and_name_the_schema() -> None:
    validator = jsonschema_rs.validator_for(stream_schema())
    for path in (REPOSITORY / "airbyte" / "streams").glob("*.yaml"):
        text = path.read_text()
        assert validator.is_valid(yaml.safe_load(text)), path
        named = text.splitlines()[0].split("$schema=")[1]
        assert (path.parent / named).resolve() == REPOSITORY / FILE


def test_the_committed_stream_schema_is_current(tmp_path: Path) -> None:
    """If this fails: `lavra stream schema`."""
    committed = json.loads((REPOSITORY / FILE).read_text())
    assert committed == stream_schema()
    assert json.loads(write_schema(tmp_path).read_text()) == committed


def test_every_key_of_a_stream_is_described() -> None:
    schema = stream_schema()
    bare = [
        f"{where}.{key}"
        for where, model in {"": schema, **schema["$defs"]}.items()
        for key, told in model.get("properties", {}).items()
        if "description" not in told
    ]
    assert bare == []
