"""Destinations of a real Airbyte as code: ``airbyte/destinations/<name>.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lavra.errors import ConfigurationError
from lavra.landing.connections import Name
from lavra.landing.yaml_file import load_yaml, validated

DESTINATIONS = Path("airbyte") / "destinations"


class Destination(BaseModel):
    """Where a real Airbyte lands: the lake's bucket."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = Field(description="The destination's name; the file is called the same.")
    description: str = Field(min_length=1, description="What it is, for people.")
    connector: str = Field(
        pattern=r"^[a-z][a-z0-9-]*$", description="A name of Airbyte's registry: gcs, s3."
    )
    definition_id: str | None = Field(
        default=None, description="The id of a custom destination's definition on the server."
    )
    config: dict[str, Any] = Field(
        default_factory=dict, description="The connector's settings, secrets by reference."
    )


def load_destination(project: Path, name: str) -> Destination:
    """Read one destination's file.

    Raises:
        ConfigurationError: there is none of this name, or it is wrong; the message names the place.
    """
    path = project / DESTINATIONS / f"{name}.yaml"
    if not path.is_file():
        raise ConfigurationError(
            f"There is no destination {name}: {path} is missing.",
            remedy="docs/ingestion.md shows one for a bucket.",
        )
    destination = validated(Destination, load_yaml(path))
    if destination.name != name:
        raise ConfigurationError(
            f"{path}: name is {destination.name}, but the file is called {name}.",
            remedy="Give both the same name.",
        )
    return destination
