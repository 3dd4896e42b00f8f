"""Streams as code: ``airbyte/streams/<name>.yaml``, one source followed each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lavra.errors import ConfigurationError
from lavra.landing.connections import Name
from lavra.landing.yaml_file import load_yaml, validated

STREAMS = Path("airbyte") / "streams"
MANUAL = "docs/streams.md"
_MEBIBYTE = 1024 * 1024
_TableName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$")]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StreamOrigin(_Declared):
    """Where a stream comes from."""

    connector: Literal["postgres"] = Field(description="What kind of source it is.")
    config: dict[str, Any] = Field(
        default_factory=dict, description="How to reach it: the keys of a Postgres connection."
    )
    workload: Name | None = Field(
        default=None,
        description="A shipped workload that stands in, on this machine, as long as a reference "
        "of `config` that has no default is not set in the environment.",
    )


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
        description="Retained log, in MiB, above which a stream that starts drops its slot, to "
        "save the source, and loads its tables anew.",
    )


class StreamDeclaration(_Declared):
    """One source whose changes are followed."""

    name: Name = Field(description="The stream's name; the file is called the same.")
    description: str = Field(min_length=1, description="What the source is, for people.")
    owner: str = Field(min_length=1, description="Who answers for it.")
    source: StreamOrigin = Field(description="Where it comes from.")
    tables: tuple[_TableName, ...] = Field(
        min_length=1, description="What is followed: schema.table."
    )
    batch: BatchLimits = Field(default_factory=BatchLimits, description="When a batch ends.")
    slot: SlotLimits = Field(default_factory=SlotLimits, description="Limits of retained log.")

    @model_validator(mode="after")
    def _consistent(self) -> StreamDeclaration:
        if twice := sorted({name for name in self.tables if self.tables.count(name) > 1}):
            msg = f"tables: {', '.join(twice)} stands here twice"
            raise ValueError(msg)
        if self.slot.wal_limit_mb < self.slot.wal_alarm_mb:
            msg = "slot: wal_limit_mb must not be below wal_alarm_mb"
            raise ValueError(msg)
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
