"""The streams' JSON schema: committed as it is, and of one mind with `lavra stream lint`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lavra.streams.declarations import StreamDeclaration
from lavra.streams.schema import FILE, stream_schema, write_schema
from tests.lavra.editor_schemas import (
    assert_committed,
    assert_described,
    assert_of_one_mind,
    assert_shipped_files_fit,
    changed,
    mutations,
)

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
    mutations_of_all = [one for document in (FULL, SIMPLE, REMOTE) for one in mutated(document)]
    linted = assert_of_one_mind(stream_schema(), StreamDeclaration, mutations_of_all)
    assert linted[True] > 60
    assert linted[False] > 300


def test_the_shipped_streams_fit_and_name_the_schema() -> None:
    assert_shipped_files_fit(stream_schema(), "streams", FILE)


def test_the_committed_stream_schema_is_current(tmp_path: Path) -> None:
    """If this fails: `lavra stream schema`."""
    assert_committed(stream_schema(), FILE, write_schema, tmp_path)


def test_every_key_of_a_stream_is_described() -> None:
    assert_described(stream_schema())
