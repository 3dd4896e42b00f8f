"""What the YAML wants a workspace to hold, in the API's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lavra.airbyte.destinations import Destination, load_destination
from lavra.airbyte.fields import Fields, Secret, flatten
from lavra.errors import ConfigurationError
from lavra.landing.connections import FILES
from lavra.landing.references import resolve, unset

if TYPE_CHECKING:
    from lavra.airbyte.server import Kind
    from lavra.landing.connections import Connection, Stream

_REFERENCE = re.compile(r"\$\{")
_TYPE_KEY = {"source": "sourceType", "destination": "destinationType"}


@dataclass(frozen=True)
class Resource:
    """One thing that should be on the server.

    Attributes:
        kind: What it is.
        name: Its name there.
        fields: Its flat fields; secrets wrapped.
        body: Its fields as the API's JSON, secrets included; never printed or kept.
        type_name: A source's or destination's connector.
        definition_id: Of a custom connector; None when the server's registry has it.
        definition: Name of the low-code definition that a source needs first.
        needs: Names of the source and destination that a connection joins.
    """

    kind: Kind
    name: str
    fields: Fields
    body: dict[str, Any] = field(repr=False)
    type_name: str = ""
    definition_id: str | None = None
    definition: str | None = None
    needs: tuple[str, str] | None = None


def desired(project: Path, connections: list[Connection]) -> list[Resource]:
    """Return what connections need on a server, in the order in which it is made.

    A source of files, or one by `command`, is read by Lavra itself and needs nothing there.

    Raises:
        ConfigurationError: a reference is unset, a file is missing, or a configuration does not
            fit its connector.
    """
    resources: list[Resource] = []
    destinations: dict[str, Destination] = {}
    for connection in connections:
        if connection.source.connector in FILES or connection.source.command:
            continue
        if missing := unset(connection.source.config):
            raise ConfigurationError(
                f"Connection {connection.name} refers to {', '.join(missing)}, not set here.",
                remedy="Set it in the environment, or give it a default: ${NAME:-default}.",
            )
        if connection.destination.name not in destinations:
            found = load_destination(project, connection.destination.name)
            if missing := unset(found.config):
                raise ConfigurationError(
                    f"Destination {found.name} refers to {', '.join(missing)}, not set here.",
                    remedy="Set it in the environment, or give it a default: ${NAME:-default}.",
                )
            destinations[connection.destination.name] = found
        if connection.source.manifest:
            resources.append(_definition(project, connection))
        resources.append(_source(connection))
        resources.append(_connection(connection))
    resources += [_destination(found) for found in destinations.values()]
    order = ("definition", "source", "destination", "connection")
    return sorted(resources, key=lambda resource: order.index(resource.kind))


def stream_key(namespace: str | None, name: str) -> str:
    """Return how a stream is called in fields: with its namespace, if it has one."""
    return f"{namespace}.{name}" if namespace else name


def _definition(project: Path, connection: Connection) -> Resource:
    path = project / "airbyte" / str(connection.source.manifest)
    try:
        manifest = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"Connection {connection.name}: the manifest {path} cannot be read: {error}.",
            remedy="`manifest` names a YAML file below airbyte/.",
        ) from error
    name = _definition_name(connection)
    return Resource(
        "definition", name, {"manifest": manifest}, {"name": name, "manifest": manifest}
    )


def _definition_name(connection: Connection) -> str:
    return connection.source.connector


def _source(connection: Connection) -> Resource:
    source = connection.source
    declared = _airbyte_config(source.connector, source.config)
    custom = bool(source.definition_id or source.manifest)
    configuration = _typed("source", source.connector, declared, connection.name, custom=custom)
    return Resource(
        "source",
        connection.name,
        _configured(configuration, declared),
        {"name": connection.name, "configuration": configuration},
        type_name=source.connector,
        definition_id=source.definition_id,
        definition=_definition_name(connection) if source.manifest else None,
    )


def _destination(destination: Destination) -> Resource:
    configuration = _typed(
        "destination", destination.connector, destination.config, destination.name,
        custom=bool(destination.definition_id),
    )  # fmt: skip
    return Resource(
        "destination",
        destination.name,
        _configured(configuration, destination.config),
        {"name": destination.name, "configuration": configuration},
        type_name=destination.connector,
        definition_id=destination.definition_id,
    )


def _connection(connection: Connection) -> Resource:
    schedule: dict[str, Any] = {"scheduleType": connection.schedule.schedule_type}
    if connection.schedule.cron_expression:
        schedule["cronExpression"] = connection.schedule.cron_expression
    appends_only = connection.destination.dialect is not None
    streams = [_stream(stream, appends_only=appends_only) for stream in connection.streams]
    settings: dict[str, Any] = {
        "name": connection.name,
        "schedule": schedule,
        "namespaceDefinition": "custom_format",
        "namespaceFormat": connection.bronze_namespace,
        "nonBreakingSchemaUpdatesBehavior": connection.non_breaking_schema_updates_behavior,
        "prefix": "",
        "status": "active",
    }
    fields = flatten({key: value for key, value in settings.items() if key != "name"})
    fields |= stream_fields(streams)
    return Resource(
        "connection",
        connection.name,
        fields,
        settings | {"configurations": {"streams": streams}},
        needs=(connection.name, connection.destination.name),
    )


def stream_fields(streams: list[dict[str, Any]]) -> Fields:
    """Return the API's stream configurations as flat fields, ``streams.<stream>.<setting>``."""
    found: Fields = {}
    for stream in streams:
        prefix = f"streams.{stream_key(stream.get('namespace'), stream['name'])}"
        found[f"{prefix}.syncMode"] = stream.get("syncMode")
        for key in ("cursorField", "primaryKey"):
            if stream.get(key):
                found[f"{prefix}.{key}"] = stream[key]
        if stream.get("selectedFields"):
            paths = sorted(item["fieldPath"] for item in stream["selectedFields"])
            found[f"{prefix}.selectedFields"] = paths
        if stream.get("mappers"):
            found[f"{prefix}.mappers"] = [
                {key: value for key, value in mapper.items() if key != "id"}
                for mapper in stream["mappers"]
            ]
    return found


def _stream(stream: Stream, *, appends_only: bool) -> dict[str, Any]:
    mode: str = stream.sync_mode
    if appends_only and mode == "incremental_deduped_history":
        mode = "incremental_append"  # object stores keep every version; Bronze keeps the newest
    body: dict[str, Any] = {"name": stream.name, "syncMode": mode}
    if stream.namespace:
        body["namespace"] = stream.namespace
    if stream.cursor_field:
        body["cursorField"] = [stream.cursor_field]
    if stream.primary_key:
        body["primaryKey"] = [[column] for column in stream.primary_key]
    if stream.selected_fields:
        body["selectedFields"] = [{"fieldPath": [name]} for name in stream.selected_fields]
    if stream.mappers:
        body["mappers"] = [
            {"type": mapper.type, "mapperConfiguration": mapper.mapper_configuration}
            for mapper in stream.mappers
        ]
    return body


def _airbyte_config(connector: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration in Airbyte's form; ours of Postgres states the mode alone."""
    if connector == "postgres" and isinstance(config.get("ssl_mode"), str):
        return config | {"ssl_mode": {"mode": config["ssl_mode"]}}
    return config


def _configured(configuration: dict[str, Any], declared: dict[str, Any]) -> Fields:
    """Return a configuration's fields, with whatever comes from the environment as secrets."""
    texts = flatten(declared)
    return {
        f"configuration.{path}": Secret(value) if _refers(texts.get(path)) else value
        for path, value in flatten(configuration).items()
        if path not in _TYPE_KEY.values()
    }


def _refers(value: Any) -> bool:
    if isinstance(value, str):
        return bool(_REFERENCE.search(value))
    if isinstance(value, list):
        return any(_refers(item) for item in value)
    if isinstance(value, dict):
        return any(_refers(item) for item in value.values())
    return False


def _typed(
    kind: str, connector: str, declared: dict[str, Any], name: str, *, custom: bool
) -> dict[str, Any]:
    """Return a configuration with references resolved and texts as the connector's types.

    A reference always resolves to a text; where the API knows the connector, a port becomes a
    number again.
    """
    resolved: dict[str, Any] = resolve(declared)
    if custom:
        return resolved
    type_key = _TYPE_KEY[kind]
    model = _model(kind, connector)
    if model is not None:
        from pydantic import ValidationError  # noqa: PLC0415

        try:
            dumped = model.model_validate(resolved).model_dump(by_alias=True, mode="json")
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
                for each in error.errors(include_input=False, include_url=False)[:5]
            )
            raise ConfigurationError(
                f"{kind.capitalize()} {name}: its config does not fit {connector}: {wrong}.",
                remedy=f"https://docs.airbyte.com/integrations/{kind}s/{connector} lists the keys.",
            ) from error
        resolved = _retyped(resolved, dumped)
    return resolved | {type_key: connector}


def _retyped(value: Any, typed: Any) -> Any:
    if isinstance(value, dict) and isinstance(typed, dict):
        return {key: _retyped(inner, typed.get(key)) for key, inner in value.items()}
    return typed if isinstance(value, str) and isinstance(typed, int | float) else value


def _model(kind: str, connector: str) -> Any:
    """Return the API package's model of a connector's configuration, or None."""
    import importlib  # noqa: PLC0415

    try:
        module = importlib.import_module(f"airbyte_api.models.{kind}_{connector.replace('-', '_')}")
    except ModuleNotFoundError:
        return None
    for value in vars(module).values():
        fields = getattr(value, "model_fields", {})
        constant = fields.get(f"{kind.upper()}_TYPE")
        if constant is not None and constant.default == connector:
            return value
    return None
