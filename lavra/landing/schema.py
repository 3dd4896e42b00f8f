"""The JSON schema of a connection's file, by which an editor completes and checks it.

It is made from the same models as ``lavra ingest lint``; what those check in code and an editor
should know too is said here in JSON schema's own words. Streams have theirs by the same means
(:mod:`lavra.streams.schema`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

FILE = Path("airbyte") / "connection.schema.json"
"""Below the project; a connection names it in its first line (docs/ingestion.md)."""

REFERENCE = f"# yaml-language-server: $schema=../{FILE.name}\n"
"""That line."""


def needs_cursor() -> dict[str, Any]:
    """Return the rule that an incremental stream has a cursor."""
    modes = ["incremental_append", "incremental_deduped_history"]
    return _needs(modes, {"cursor_field": {"type": "string", "minLength": 1}})


def needs_key() -> dict[str, Any]:
    """Return the rule that a deduplicated stream has a key."""
    key = {"type": ["string", "array"], "minLength": 1, "minItems": 1}
    return _needs(["incremental_deduped_history"], {"primary_key": key})


def retains_appended() -> dict[str, Any]:
    """Return the rule that only what is appended has a retention."""
    modes = ["full_refresh_append", "incremental_append"]
    return {
        "if": {"required": ["retention"], "properties": {"retention": {"type": "string"}}},
        "then": {"required": ["sync_mode"], "properties": {"sync_mode": {"enum": modes}}},
    }


def connection_schema() -> dict[str, Any]:
    """Return the JSON schema of ``airbyte/connections/<name>.yaml``."""
    from lavra.landing.connections import Connection  # noqa: PLC0415 - it uses this module

    return schema_of(Connection, "A connection of Lavra")


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """Return the JSON schema of the files that a model describes."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return head | model.model_json_schema() | head


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(schema: dict[str, Any], path: Path) -> Path:
    """Write a schema to its place and return that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_text(schema), "utf-8")
    return path


def write_schema(project: Path) -> Path:
    """Write the connections' schema into a project and return its path."""
    return write(connection_schema(), project / FILE)


def _needs(modes: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"required": ["sync_mode"], "properties": {"sync_mode": {"enum": modes}}},
        "then": {"required": list(properties), "properties": properties},
    }
