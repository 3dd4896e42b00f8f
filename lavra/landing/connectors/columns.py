"""From a connector's catalog to columns, and back to what a connector is told to read."""

from __future__ import annotations

import re
from typing import Any

from lavra.errors import ConfigurationError, SourceError
from lavra.landing import types
from lavra.landing.connections import Stream
from lavra.landing.file_reader import selected
from lavra.landing.types import LandedType, parse_type

_FORMATS = {
    "date": types.DATE,
    "date-time": types.TIMESTAMP_TZ,
    "time": types.TIME,
}
_AIRBYTE_TYPES = {
    "timestamp_without_timezone": types.TIMESTAMP,
    "timestamp_with_timezone": types.TIMESTAMP_TZ,
    "time_without_timezone": types.TIME,
    "time_with_timezone": types.STRING,
    "big_integer": types.STRING,
    "big_number": types.STRING,
    "integer": types.INTEGER,
}
_SIMPLE = {"string": types.STRING, "boolean": types.BOOLEAN, "integer": types.INTEGER,
           "number": types.NUMBER}  # fmt: skip


def find_stream(stream: Stream, discovered: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what a connector says of a stream: the one of this name, as Bronze spells names."""
    named = [found for found in discovered if found["name"] == stream.name] or [
        found for found in discovered if _plain(found["name"]) == stream.name
    ]
    if stream.namespace is not None:
        named = [found for found in named if found.get("namespace") == stream.namespace]
    return named[0] if named else None


def columns_of(stream: Stream, found: dict[str, Any]) -> dict[str, LandedType]:
    """Return name and type of each column to land.

    Types are Airbyte's own mapping; objects, arrays and mixed types land as JSON text. A type
    that YAML gives replaces the source's, or adds a column that the source does not declare.

    Raises:
        ConfigurationError: the stream names a column that does not exist.
        SourceError: two columns differ by case only, or there is none at all.
    """
    properties = declared_columns(found)
    kinds = {name: LandedType(_type_of(schema)) for name, schema in properties.items()}
    kinds |= {name: parse_type(text) for name, text in stream.types.items()}
    if stream.selected_fields is not None:
        needed = {*stream.primary_key, *filter(None, [stream.cursor_field])} & kinds.keys()
        fields = (*stream.selected_fields, *needed)
        stream = stream.model_copy(update={"selected_fields": fields})
    kinds = selected(stream, kinds)
    if not kinds:
        raise SourceError(
            f"The connector declares no columns for {stream.name}.",
            remedy="Give them with the stream's `types`.",
        )
    return kinds


def declared_columns(found: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that a connector declares for a stream."""
    return dict((found.get("json_schema") or {}).get("properties") or {})


def configured(stream: Stream, found: dict[str, Any]) -> dict[str, Any]:
    """Return how a connector is told to read a stream.

    Raises:
        ConfigurationError: the connector cannot read it incrementally.
    """
    supported = found.get("supported_sync_modes") or ["full_refresh"]
    if stream.is_incremental and "incremental" not in supported:
        raise ConfigurationError(
            f"The connector reads {stream.name} in full only, and sync_mode is {stream.sync_mode}.",
            remedy="Use full_refresh_overwrite or full_refresh_append.",
        )
    mode, _, landing = stream.sync_mode.rpartition("_")
    if stream.sync_mode == "incremental_deduped_history":
        mode, landing = "incremental", "append_dedup"
    cursor = {"cursor_field": [stream.cursor_field]} if stream.cursor_field else {}
    key = {"primary_key": [[name] for name in stream.primary_key]} if stream.primary_key else {}
    return {"stream": found, "sync_mode": mode, "destination_sync_mode": landing} | cursor | key


def descriptor(found: dict[str, Any]) -> dict[str, Any]:
    """Return how a stream is named in states and traces."""
    names = {"name": found["name"], "namespace": found.get("namespace")}
    return {key: value for key, value in names.items() if value is not None}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _type_of(schema: Any) -> str:
    if not isinstance(schema, dict):
        return types.JSON
    given = schema.get("type")
    said = [name for name in (given if isinstance(given, list) else [given]) if name != "null"]
    for branch in ("oneOf", "anyOf"):
        inner = {_type_of(one) for one in schema.get(branch) or () if one != {"type": "null"}}
        if inner:
            return inner.pop() if len(inner) == 1 else types.JSON
    if len(said) != 1 or said[0] not in _SIMPLE:
        return types.JSON
    named = _AIRBYTE_TYPES.get(str(schema.get("airbyte_type")))
    if said[0] == "string":
        return named or _FORMATS.get(str(schema.get("format")), types.STRING)
    return named if named == types.INTEGER else _SIMPLE[said[0]]
