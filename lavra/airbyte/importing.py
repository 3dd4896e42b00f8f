"""YAML for what an Airbyte workspace holds already, so that it can be declared from then on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from lavra.airbyte.fields import is_mask
from lavra.airbyte.observed import normal_cron
from lavra.landing.connections import NATIVE
from lavra.landing.schema import REFERENCE

if TYPE_CHECKING:
    from lavra.airbyte.server import AirbyteServer

_TYPE_KEYS = ("sourceType", "destinationType")
_DIALECTS = {"gcs": "gcs_legacy", "s3": "v2"}


@dataclass(frozen=True)
class Imported:
    """Files to write, and what people must do about them.

    Attributes:
        files: Text by path below ``airbyte/``.
        secrets: Environment variables that the files refer to, by file.
        notes: What could not be said in YAML.
    """

    files: dict[str, str]
    secrets: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]


def import_workspace(server: AirbyteServer, owner: str) -> Imported:
    """Return the YAML of every connection of the workspace, its source and its destination.

    A masked value becomes a reference, ``${SHOP_PASSWORD}``. Names on the server are kept where
    they can be names of files; others are changed, and a note says so.

    Raises:
        AirbyteError: the server cannot be asked.
    """
    sources = {each["sourceId"]: each for each in server.resources("source")}
    destinations = {each["destinationId"]: each for each in server.resources("destination")}
    definitions = {each["id"]: each for each in server.resources("definition")}
    files: dict[str, str] = {}
    secrets: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    used: dict[str, str] = {}
    for connection in server.resources("connection"):
        name = file_name(connection["name"])
        if name in used:
            notes.append(f"{connection['name']} is left out: {used[name]} is {name} already")
            continue
        used[name] = connection["name"]
        if name != connection["name"]:
            notes.append(f"{connection['name']} is called {name} here: apply would make it anew")
        source = sources[connection["sourceId"]]
        destination = destinations[connection["destinationId"]]
        found: list[str] = []
        target = file_name(destination["name"])
        path = f"destinations/{target}.yaml"
        if path not in files:
            kept: list[str] = []
            files[path] = _text(_destination(target, destination, kept))
            if kept:
                secrets[path] = tuple(kept)
        written, manifest = _connection(
            name, connection, source,
            owner=owner, destination=_reference(target, destination), definitions=definitions,
            found=found,
        )  # fmt: skip
        if manifest:
            files[f"manifests/{written['source']['connector']}.yaml"] = _text(manifest)
        path = f"connections/{name}.yaml"
        files[path] = REFERENCE + _text(written)
        if found:
            secrets[path] = tuple(found)
    return Imported(files, secrets, tuple(notes))


def file_name(name: str) -> str:
    """Return a name as one of ours: small letters, digits and underscores."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain if re.match(r"[a-z]", plain) else f"c_{plain}"


def _connection(
    name: str,
    connection: dict[str, Any],
    source: dict[str, Any],
    *,
    owner: str,
    destination: Any,
    definitions: dict[str, dict[str, Any]],
    found: list[str],
) -> tuple[dict[str, Any], Any]:
    declared: dict[str, Any] = {"connector": source.get("sourceType") or "custom"}
    definition = definitions.get(source.get("definitionId") or "")
    manifest = None
    if definition:
        declared["connector"] = file_name(definition["name"]).replace("_", "-")
        declared["manifest"] = f"manifests/{declared['connector']}.yaml"
        manifest = definition["manifest"]
    elif declared["connector"] == "custom":
        declared["definition_id"] = source["definitionId"]
    config = _plain_config(source, name, found)
    if declared["connector"] in NATIVE and isinstance(config.get("ssl_mode"), dict):
        config["ssl_mode"] = config["ssl_mode"].get("mode", "prefer")
    declared["config"] = config
    written: dict[str, Any] = {
        "name": name,
        "description": f"Imported from Airbyte: {connection['name']}.",
        "owner": owner,
        "source": declared,
        "destination": destination,
    }
    namespace = connection.get("namespaceFormat")
    if connection.get("namespaceDefinition") == "custom_format" and namespace != name:
        written["namespace"] = file_name(namespace or name)
    schedule = connection.get("schedule") or {}
    if schedule.get("scheduleType") == "cron":
        written["schedule"] = {
            "schedule_type": "cron",
            "cron_expression": normal_cron(schedule["cronExpression"]),
        }
    behaviour = connection.get("nonBreakingSchemaUpdatesBehavior")
    if behaviour and behaviour != "propagate_columns":
        written["non_breaking_schema_updates_behavior"] = behaviour
    streams = (connection.get("configurations") or {}).get("streams") or []
    written["streams"] = [_stream(stream) for stream in streams]
    return written, manifest


def _reference(name: str, destination: dict[str, Any]) -> Any:
    """Return how a connection names its destination: with the dialect, where that is sure."""
    dialect = _DIALECTS.get(destination.get("destinationType") or "")
    return {"name": name, "dialect": dialect} if dialect else name


def _stream(stream: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"name": stream["name"]}
    if stream.get("namespace"):
        written["namespace"] = stream["namespace"]
    written["sync_mode"] = stream["syncMode"]
    if stream.get("cursorField"):
        written["cursor_field"] = ".".join(stream["cursorField"])
    if stream.get("primaryKey"):
        written["primary_key"] = [".".join(path) for path in stream["primaryKey"]]
    if stream.get("selectedFields"):
        written["selected_fields"] = [
            ".".join(each["fieldPath"]) for each in stream["selectedFields"]
        ]
    if stream.get("mappers"):
        written["mappers"] = [
            {"type": each["type"], "mapper_configuration": each["mapperConfiguration"]}
            for each in stream["mappers"]
        ]
    return written


def _destination(name: str, destination: dict[str, Any], found: list[str]) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": name,
        "description": f"Imported from Airbyte: {destination['name']}.",
        "connector": destination.get("destinationType") or "custom",
    }
    if written["connector"] == "custom":
        written["definition_id"] = destination["definitionId"]
    written["config"] = _plain_config(destination, name, found)
    return written


def _plain_config(resource: dict[str, Any], name: str, found: list[str]) -> dict[str, Any]:
    config = {k: v for k, v in (resource.get("configuration") or {}).items() if k not in _TYPE_KEYS}
    plain = _references(config, (name,), found)
    assert isinstance(plain, dict)  # noqa: S101 - it was one
    return plain


def _references(value: Any, path: tuple[str, ...], found: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _references(inner, (*path, key), found) for key, inner in value.items()}
    if is_mask(value):
        variable = re.sub(r"[^A-Z0-9]+", "_", "_".join(path).upper())
        found.append(variable)
        return f"${{{variable}}}"
    return value


def _text(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
