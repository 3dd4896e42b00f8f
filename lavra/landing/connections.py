"""Connections as code: ``airbyte/connections/<name>.yaml``, one source each.

Names are those of Airbyte's API wherever it has one, so that the same file can drive a real
Airbyte. Secrets, and whatever differs between machines, are references: ``${NAME}`` or
``${NAME:-default}``, resolved from the environment when a run needs them, never before.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lavra.durations import Duration
from lavra.errors import ConfigurationError
from lavra.landing.csv_source import CsvOptions
from lavra.landing.schedule import Schedule
from lavra.landing.schema import needs_cursor, needs_key, retains_appended
from lavra.landing.types import parse_type, type_pattern
from lavra.landing.yaml_file import load_yaml, misplaced, validated

CONNECTIONS = Path("airbyte") / "connections"
WORKLOADS = ("commerce",)
FILES = ("csv", "jsonl", "parquet")
"""Connectors whose source is files, each read in full."""
NATIVE = ("postgres", *FILES)
"""Connectors that run here, in this process."""
_PACKAGE = "airbyte-source-"

SyncMode = Literal[
    "full_refresh_overwrite",
    "full_refresh_append",
    "incremental_append",
    "incremental_deduped_history",
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
_Column = Annotated[str, Field(min_length=1)]
_TypeName = Annotated[
    str,
    Field(json_schema_extra={"pattern": type_pattern(), "examples": ["decimal(12,2)", "string"]}),
]


def _known_types(types: dict[str, str]) -> dict[str, str]:
    for column, name in types.items():
        try:
            parse_type(name)
        except ConfigurationError as error:
            msg = f"{column}: {error}"
            raise ValueError(msg) from error
    return types


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stream(_Declared):
    """One table or file set of a source."""

    model_config = ConfigDict(
        json_schema_extra={"allOf": [needs_cursor(), needs_key(), retains_appended()]}
    )

    name: Name = Field(description="Name of the stream; its folder in Bronze.")
    namespace: str | None = Field(
        default=None, description="Where the source keeps it: a Postgres schema (public)."
    )
    sync_mode: SyncMode = Field(
        default="full_refresh_overwrite", description="How a run reads and lands the stream."
    )
    cursor_field: str | None = Field(
        default=None, description="Column by which an incremental run finds what is new."
    )
    cursor_lag: Duration = Field(
        default=dt.timedelta(minutes=5),
        description="How far behind the cursor a run looks again, for transactions that "
        "committed late. For timestamp cursors.",
    )
    primary_key: Annotated[
        tuple[_Column, ...],
        BeforeValidator(_as_list, json_schema_input_type=_Column | tuple[_Column, ...]),
    ] = Field(default=(), description="Columns that identify a row.")
    selected_fields: tuple[str, ...] | None = Field(
        default=None, description="Columns to land; all, when not given."
    )
    types: Annotated[dict[str, _TypeName], AfterValidator(_known_types)] = Field(
        default_factory=dict, description="Types by column that replace what the source says."
    )
    path: str | None = Field(
        default=None,
        description="Files of a csv, jsonl or parquet stream: a path or glob below the root.",
    )
    format: CsvOptions = Field(
        default_factory=CsvOptions, description="How a csv stream's files are written."
    )
    mappers: tuple[Mapper, ...] = Field(
        default=(), description="Applied by a real Airbyte; refused where Lavra reads itself."
    )
    freshness: Duration | None = Field(
        default=None, description="How old the newest landing may be, for `lavra status`."
    )

    retention: Duration | None = Field(
        default=None,
        description="How long Bronze keeps what was appended, once every model has read it; for "
        "ever, when not given. A model that is rebuilt after that finds no older rows.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Stream:
        if self.retention is not None and not self.sync_mode.endswith("append"):
            msg = f"retention is for streams that append; {self.sync_mode} needs all of its files"
            raise ValueError(msg)
        if self.is_incremental and not self.cursor_field:
            msg = f"sync_mode {self.sync_mode} needs a cursor_field"
            raise ValueError(msg)
        if self.sync_mode == "incremental_deduped_history" and not self.primary_key:
            msg = "sync_mode incremental_deduped_history needs a primary_key"
            raise ValueError(msg)
        return self

    @property
    def is_incremental(self) -> bool:
        """Whether a run reads only what is new."""
        return self.sync_mode.startswith("incremental")


class PostgresConfig(_Declared):
    """How to reach a Postgres source; the keys are Airbyte's."""

    host: str = Field(description="The server's name or address.")
    port: int = Field(default=5432, description="Its port.")
    database: str = Field(description="The database.")
    username: str = Field(description="Who connects.")
    password: str = Field(default="", description="The password: a reference, never the text.")
    schemas: tuple[str, ...] = Field(
        default=("public",), description="Where a stream without a `namespace` is looked for."
    )
    ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="Whether the connection is encrypted, as libpq has it."
    )


class FilesConfig(_Declared):
    """Where a source's files are."""

    root: str = Field(
        min_length=1, description="A folder, absolute or below the project, or gs://bucket/prefix."
    )


class Mapper(_Declared):
    """What a real Airbyte does to a stream's rows on their way; its own names."""

    type: Literal["hashing", "field-renaming", "row-filtering", "encryption", "field-filtering"] = (
        Field(description="What it does; the names are Airbyte's.")
    )
    mapper_configuration: dict[str, Any] = Field(description="As Airbyte's API has it.")


class Source(_Declared):
    """Where a connection reads from."""

    definition_id: str | None = Field(
        default=None,
        pattern=r"^[0-9a-fA-F-]{36}$",
        description="The id of a custom connector's definition on the Airbyte server.",
    )
    manifest: str | None = Field(
        default=None,
        description="A low-code (declarative) connector's manifest: a YAML file below airbyte/.",
    )
    command: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="A connector of your own: a program that speaks Airbyte's protocol, with its "
        "first arguments. Runs in the project's folder.",
    )
    version: str | None = Field(
        default=None,
        pattern=r"^[0-9][0-9A-Za-z.+-]*$",
        description="The version on PyPI of a connector that runs here, without an Airbyte: of "
        "airbyte-source-<connector>, or of the airbyte-cdk that runs a `manifest`.",
    )
    checkpoints: bool = Field(
        default=True,
        description="Whether an incremental read that dies goes on from the connector's last "
        "state. For a connector whose states lie, false: it starts again.",
    )
    connector: str = Field(
        pattern=r"^[a-z][a-z0-9-]*$",
        description="What kind of source it is: postgres, csv, jsonl and parquet run here and need "
        "nothing else; any name of Airbyte's registry (stripe, google-sheets), which runs here "
        "with a `version`; or a name of your own beside `definition_id`, `manifest` or `command`.",
    )
    config: dict[str, Any] = Field(default_factory=dict, description="The connector's settings.")
    workload: Literal["commerce"] | None = Field(
        default=None,
        description="A shipped workload that stands in, on this machine, as long as a reference "
        "of `config` that has no default is not set in the environment. Airbyte ignores it.",
    )

    @property
    def is_native(self) -> bool:
        """Whether Lavra reads the source itself."""
        return self.connector in NATIVE

    @property
    def is_embedded(self) -> bool:
        """Whether one of Airbyte's connectors can read it, as a process of this machine."""
        return bool(self.version or self.manifest or self.command)

    @property
    def package(self) -> str:
        """The connector's name on PyPI."""
        return _PACKAGE + self.connector.removeprefix(_PACKAGE)

    @field_validator("connector")
    @classmethod
    def _known(cls, connector: str, info: ValidationInfo) -> str:
        given = [name for name in ("definition_id", "manifest", "command") if info.data.get(name)]
        if len(given) > 1:
            msg = f"give {given[0]} or {given[1]}, not both"
            raise ValueError(msg)
        if info.data.get("version") and (connector in NATIVE or given not in ([], ["manifest"])):
            msg = f"a version is for a connector from PyPI or a manifest, not for {connector}"
            raise ValueError(msg)
        own = bool(given or info.data.get("version"))
        if not own and connector not in NATIVE and not _in_registry(connector):
            near = get_close_matches(connector, NATIVE, 1) or get_close_matches(
                connector, _registry(), 1
            )
            hint = f" (did you mean {near[0]}?)" if near else ""
            msg = f"there is no connector {connector!r}{hint}: it is {' or '.join(NATIVE)}, a name of Airbyte's registry, or needs a version on PyPI, a definition_id, a manifest or a command"  # noqa: E501
            raise ValueError(msg)
        return connector


def _in_registry(connector: str) -> bool:
    """Whether Airbyte's API has a source of this name; yes, where its package is not installed."""
    if find_spec("airbyte_api") is None:
        return True
    return find_spec(f"airbyte_api.models.source_{connector.replace('-', '_')}") is not None


def _registry() -> list[str]:
    """Return the sources that Airbyte's API knows by name; none, where it is not installed."""
    spec = find_spec("airbyte_api")
    folders = [
        Path(folder) / "models" for folder in (spec and spec.submodule_search_locations) or ()
    ]
    files = [path.stem for folder in folders for path in folder.glob("source_*.py")]
    return [name.removeprefix("source_").replace("_", "-") for name in files]


class Target(_Declared):
    """Where a real Airbyte lands a connection, and how it writes its columns."""

    name: Name = Field(default="lake", description="The file airbyte/destinations/<name>.yaml.")
    dialect: Literal["gcs_legacy", "v2"] | None = Field(
        default=None,
        description="gcs_legacy: destination-gcs (0.4.x), columns _airbyte_ab_id and "
        "_airbyte_emitted_at. v2: destination-s3 from 1.0 on, columns _airbyte_raw_id and "
        "_airbyte_extracted_at. Giving one says that Airbyte lands this connection; without it, "
        "Lavra does.",
    )


def _as_target(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Connection(_Declared):
    """One source and what is read from it."""

    name: Name = Field(description="The connection's name; the file is called the same.")
    description: str = Field(min_length=1, description="What the source is, for people.")
    owner: str = Field(min_length=1, description="Who answers for it.")
    source: Source = Field(description="Where it reads from.")
    destination: Annotated[
        Target, BeforeValidator(_as_target, json_schema_input_type=Name | Target)
    ] = Field(
        default_factory=Target,
        description="For a real Airbyte: its destination, by name or as an object with a dialect.",
    )
    namespace: Name | None = Field(
        default=None, description="Folder in Bronze; the connection's name, when not given."
    )
    schedule: Schedule = Field(
        default_factory=Schedule, description="When it is due; by hand, when not given."
    )
    non_breaking_schema_updates_behavior: Literal[
        "ignore", "disable_connection", "propagate_columns", "propagate_fully"
    ] = Field(
        default="propagate_columns",
        description="What to do with a column that is new at the source: leave it out, stop, or "
        "land it.",
    )
    freshness: Duration | None = Field(
        default=None, description="How old the newest landing of any stream may be."
    )
    streams: tuple[Stream, ...] = Field(min_length=1, description="What is read.")

    @model_validator(mode="after")
    def _consistent(self) -> Connection:
        names = [stream.name for stream in self.streams]
        kind = self.source.connector
        for number, stream in enumerate(self.streams):
            place = ("streams", number)
            if stream.name in names[:number]:
                raise misplaced(f"{stream.name} stands here twice", *place)
            if kind in FILES and stream.path is None:
                raise misplaced(f"{stream.name} needs a `path`, since the source is {kind}", *place)
            if kind in FILES and stream.is_incremental:
                msg = f"{stream.name}: a {kind} source is read in full; use full_refresh_overwrite or full_refresh_append"  # noqa: E501
                raise misplaced(msg, *place, "sync_mode")
        return self

    @property
    def bronze_namespace(self) -> str:
        """The folder of this connection's streams in Bronze."""
        return self.namespace or self.name

    def stream(self, name: str) -> Stream:
        """Return a stream by name.

        Raises:
            ConfigurationError: there is none of this name.
        """
        for stream in self.streams:
            if stream.name == name:
                return stream
        known = ", ".join(stream.name for stream in self.streams)
        raise ConfigurationError(
            f"Connection {self.name} has no stream {name}.", remedy=f"It has {known}."
        )


def load_connection(path: Path) -> Connection:
    """Read one connection's file.

    Raises:
        ConfigurationError: it is no YAML or breaks the model; the message names every place by
            file, line and key, and what to do.
    """
    connection = validated(Connection, load_yaml(path))
    if connection.name != path.stem:
        raise ConfigurationError(
            f"{path}: name is {connection.name}, but the file is called {path.stem}.",
            remedy="Give both the same name.",
        )
    return connection


def load_connections(project: Path, names: Iterable[str] = ()) -> list[Connection]:
    """Read the project's connections, or those named, in order of their names.

    Raises:
        ConfigurationError: a file is wrong, a name is unknown, or two connections would land in
            the same folder.
    """
    folder = project / CONNECTIONS
    files = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    wanted = list(names) or list(files)
    if unknown := [name for name in wanted if name not in files]:
        raise ConfigurationError(
            f"There is no connection {', '.join(unknown)} in {folder}.",
            remedy=f"There are: {', '.join(files) or 'none'}.",
        )
    connections = [load_connection(path) for path in files.values()]
    owners: dict[tuple[str, str], str] = {}
    for connection in connections:
        for stream in connection.streams:
            place = (connection.bronze_namespace, stream.name)
            other = owners.setdefault(place, connection.name)
            if other != connection.name:
                raise ConfigurationError(
                    f"{connection.name} and {other} both land bronze/{place[0]}/{place[1]}.",
                    remedy="Give one of them another `namespace`.",
                )
    return [connection for connection in connections if connection.name in wanted]
