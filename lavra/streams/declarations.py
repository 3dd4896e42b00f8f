"""Streams as code: ``airbyte/streams/<name>.yaml``, one source followed each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema

from lavra.errors import ConfigurationError
from lavra.landing.connections import Name, PostgresConfig
from lavra.landing.references import REFERENCE_PATTERN, refers
from lavra.landing.yaml_file import load_yaml, misplaced, validated

STREAMS = Path("airbyte") / "streams"
MANUAL = "docs/streams.md"
_MEBIBYTE = 1024 * 1024
_TableName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StreamConfig(PostgresConfig):
    """How to reach a stream's Postgres; any value may be, or hold, a reference."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_reference(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return value if isinstance(value, str) and refers(value) else handler(value)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core)
        reference = {"type": "string", "pattern": REFERENCE_PATTERN}
        for told in handler.resolve_ref_schema(schema)["properties"].values():
            kind = {key: told.pop(key) for key in set(told) - {"title", "description", "default"}}
            told["anyOf"] = [kind, reference]
        return schema


class StreamOrigin(_Declared):
    """Where a stream comes from."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["config"], "properties": {"config": {"type": "object"}}},
                {"required": ["workload"], "properties": {"workload": {"type": "string"}}},
            ]
        }
    )

    connector: Literal["postgres"] = Field(description="What kind of source it is.")
    config: StreamConfig | None = Field(
        default=None,
        description="How to reach it: the keys of a Postgres connection. What differs between "
        "machines, and every secret, is a reference: ${NAME} or ${NAME:-default}.",
    )
    workload: Literal["aviation"] | None = Field(
        default=None,
        description="A shipped workload that stands in, on this machine, as long as a reference "
        "of `config` that has no default is not set in the environment.",
    )

    def given_config(self) -> dict[str, Any]:
        """Return ``config`` as the file has it, references as they stand; empty without one."""
        if self.config is None:
            return {}
        return self.config.model_dump(mode="json", exclude_unset=True, warnings=False)

    @model_validator(mode="after")
    def _reachable(self) -> StreamOrigin:
        if self.config is None and self.workload is None:
            msg = "it has neither a config nor a workload"
            raise ValueError(msg)
        return self


class BatchLimits(_Declared):
    """When a micro-batch ends."""

    max_seconds: float = Field(default=1.0, gt=0, le=60, description="Longest wait.")
    max_rows: int = Field(default=50_000, ge=1, le=1_000_000, description="Most rows.")
    max_bytes: int = Field(
        default=32 * _MEBIBYTE, ge=1024, le=1024 * _MEBIBYTE, description="Most bytes."
    )


class SlotLimits(_Declared):
    """What the source may keep for us while we are away."""

    wal_alarm_mb: int = Field(
        default=1024,
        ge=1,
        description="Retained log, in MiB, from which `lavra stream status` warns.",
    )
    wal_limit_mb: int = Field(
        default=8192,
        ge=1,
        description="Retained log, in MiB, above which the slot is dropped, to save the source, "
        "and the tables are loaded anew.",
    )


class StreamDeclaration(_Declared):
    """One source whose changes are followed."""

    name: Name = Field(description="The stream's name; the file is called the same.")
    description: str = Field(min_length=1, description="What the source is, for people.")
    owner: str = Field(min_length=1, description="Who answers for it.")
    source: StreamOrigin = Field(description="Where it comes from.")
    tables: tuple[_TableName, ...] = Field(
        min_length=1,
        description="What is followed: schema.table.",
        json_schema_extra={"uniqueItems": True},
    )
    batch: BatchLimits = Field(default_factory=BatchLimits, description="When a batch ends.")
    slot: SlotLimits = Field(
        default_factory=SlotLimits, description="Limits of the log that the source keeps for us."
    )

    @model_validator(mode="after")
    def _consistent(self) -> StreamDeclaration:
        if twice := sorted({name for name in self.tables if self.tables.count(name) > 1}):
            again = len(self.tables) - 1 - self.tables[::-1].index(twice[0])
            raise misplaced(f"{', '.join(twice)} stands here twice", "tables", again)
        if self.slot.wal_limit_mb < self.slot.wal_alarm_mb:
            key, wrong = "wal_limit_mb", "below wal_alarm_mb"
            if key not in self.slot.model_fields_set:
                key, wrong = "wal_alarm_mb", f"above wal_limit_mb, {self.slot.wal_limit_mb}"
            raise misplaced(f"it must not be {wrong}", "slot", key)
        return self

    @property
    def landing_schema(self) -> str:
        """The DuckLake schema that its tables land in."""
        return f"landing_{self.name}"

    def landing_table(self, table: str) -> str:
        """Return the name under which ``schema.table`` lands: the table's own if it is unique."""
        schema, name = table.split(".")
        others = [other for other in self.tables if other.split(".")[1] == name]
        return name if len(others) < 2 else f"{schema}__{name}"


def load_stream(path: Path) -> StreamDeclaration:
    """Read one stream's file.

    Raises:
        ConfigurationError: it is no YAML or breaks the model; the message names every place by
            file, line and key.
    """
    stream = validated(StreamDeclaration, load_yaml(path), manual=MANUAL)
    if stream.name != path.stem:
        raise ConfigurationError(
            f"{path}: name is {stream.name}, but the file is called {path.stem}.",
            remedy="Give both the same name.",
        )
    return stream


def load_streams(project: Path, names: Iterable[str] = ()) -> list[StreamDeclaration]:
    """Read the project's streams, or those named, in order of their names.

    Raises:
        ConfigurationError: a file is wrong, or a name is unknown.
    """
    folder = project / STREAMS
    files = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    wanted = list(names) or list(files)
    if unknown := [name for name in wanted if name not in files]:
        raise ConfigurationError(
            f"There is no stream {', '.join(unknown)} in {folder}.",
            remedy=f"There are: {', '.join(files) or 'none'}.",
        )
    return [load_stream(files[name]) for name in wanted]


def lint(project: Path, names: Iterable[str] = ()) -> list[ConfigurationError]:
    """Return what is wrong with the project's streams, or with those named; empty is good."""
    folder = project / STREAMS
    wanted = list(names) or sorted({path.stem for path in folder.glob("*.y*ml")})
    problems: list[ConfigurationError] = []
    for name in wanted:
        other = folder / f"{name}.yml"
        if other.exists():
            problems.append(
                ConfigurationError(f"{other} is not read.", remedy=f"Rename it to {name}.yaml.")
            )
            continue
        try:
            load_streams(project, [name])
        except ConfigurationError as error:
            problems.append(error)
    return problems
