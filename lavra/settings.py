"""The one settings object, and the only reader of the environment.

Precedence, highest first: arguments, environment variables (``LAVRA_<NAME>``), the project's
``lavra.toml``, defaults. ``docs/settings.md`` documents every field; a test holds it to that.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from lavra.errors import ConfigurationError
from lavra.settings_areas import (
    AccessSettings,
    AirbyteSettings,
    BronzeSettings,
    ConnectorSettings,
    LogSettings,
    ReceiverSettings,
    ServiceSettings,
    SupersetSettings,
    WorkerSettings,
    WorkloadSettings,
)
from lavra.settings_bigquery import BigQuerySettings

PROJECT_FILE = "lavra.toml"


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = f"{name!r} is not an IANA time zone (try America/Sao_Paulo or UTC)"
        raise ValueError(msg) from error
    return name


def _lake_url(url: str) -> str:
    if url and not url.startswith(("file://", "gs://")):
        msg = f"{url!r} must start with file:// or gs://"
        raise ValueError(msg)
    return url.rstrip("/")


class Settings(
    AirbyteSettings, BigQuerySettings, BronzeSettings, ConnectorSettings, ReceiverSettings,
    AccessSettings, ServiceSettings, SupersetSettings, LogSettings, WorkerSettings,
    WorkloadSettings, BaseSettings,
):  # fmt: skip
    """Everything about one lake that differs between machines.

    Build it with :func:`load_settings`; nothing else reads the environment.
    """

    model_config = SettingsConfigDict(
        env_prefix="LAVRA_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    project: Path = Field(description="The project's root: the folder that holds lavra.toml.")
    name: str = Field(
        default="lavra",
        pattern=r"^[a-z][a-z0-9_]{0,40}$",
        description="The lake's name, shown to people and used to name things of its own.",
    )
    domains: tuple[str, ...] = Field(
        default=(),
        description="The shipped workloads that `lavra up` starts a source for: commerce, "
        "aviation.",
    )
    domains_on_request: tuple[str, ...] = Field(
        default=(),
        description="Domains whose models and dashboards are left out, unless `domains` names "
        "them.",
    )
    time_zone: Annotated[str, AfterValidator(_known_time_zone)] = Field(
        default="UTC", description="Business time zone: daily marts are days of this zone."
    )
    locale: str = Field(default="en", description="Language of dashboards: en or pt_BR.")

    lake_url: Annotated[str, AfterValidator(_lake_url)] = Field(
        default="",
        description="Where the lake's files are: file:///path or gs://bucket/prefix. "
        "Empty: the folder lake of the state directory.",
    )
    storage_emulator_host: str = Field(
        default="",
        validation_alias="STORAGE_EMULATOR_HOST",
        description="Address of a Cloud Storage emulator, as Google's own libraries read it.",
    )
    google_application_credentials: Path | None = Field(
        default=None,
        validation_alias="GOOGLE_APPLICATION_CREDENTIALS",
        description="A Google credentials file; without it, the machine's own identity is used.",
    )
    catalog_url: SecretStr = Field(
        default=SecretStr(""),
        description="The catalog: postgresql://user:password@host:port/database?sslmode=... "
        "Empty: a Postgres of our own, under the state directory, started when needed.",
    )
    state_dir: Path | None = Field(
        default=None,
        description="Where this machine keeps the lake's state. Default: .lavra in the project.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the project's file."""
        project = init_settings()["project"]
        project_file = TomlConfigSettingsSource(settings_cls, Path(project) / PROJECT_FILE)
        return init_settings, env_settings, project_file

    @cached_property
    def state(self) -> Path:
        """The folder of this machine's state (``.lavra``), absolute; it may not exist yet."""
        return (self.state_dir or self.project / ".lavra").expanduser().absolute()

    @property
    def domains_left_out(self) -> tuple[str, ...]:
        """The domains on request that nobody requests."""
        return tuple(name for name in self.domains_on_request if name not in self.domains)

    @cached_property
    def resolved_lake_url(self) -> str:
        """The lake's URL with the default filled in, without a trailing slash."""
        return self.lake_url or f"file://{self.state / 'lake'}"

    @cached_property
    def resolved_service_url(self) -> str:
        """Where clients on this machine reach the query service."""
        scheme = "https" if self.service_tls_certificate else "http"
        own = f"{scheme}://{self.service_host}:{self.service_port}"
        return (self.service_url or own).rstrip("/")

    @property
    def service_headers(self) -> dict[str, str]:
        """The headers with which the commands say who asks.

        Raises:
            ConfigurationError: the key's file cannot be read.
        """
        key = self.service_key.get_secret_value()
        if not key and self.service_key_file:
            try:
                key = self.service_key_file.expanduser().read_text("utf-8").strip()
            except OSError as error:
                raise ConfigurationError(
                    f"LAVRA_SERVICE_KEY_FILE cannot be read: {error.strerror}."
                ) from error
        return {"Authorization": f"Bearer {key}"} if key else {}

    @property
    def catalog_is_embedded(self) -> bool:
        """Whether the catalog is our own Postgres, started when needed."""
        return not self.catalog_url.get_secret_value()


def find_project(start: Path | None = None) -> Path:
    """Return the nearest folder at or above ``start`` that holds ``lavra.toml``.

    ``LAVRA_PROJECT`` names it outright.

    Raises:
        ConfigurationError: no folder up to the root holds one.
    """
    named = os.environ.get("LAVRA_PROJECT")
    if named:
        root = Path(named).expanduser().absolute()
        if not (root / PROJECT_FILE).is_file():
            raise ConfigurationError(
                f"LAVRA_PROJECT is {root}, but there is no {PROJECT_FILE} in it.",
                remedy="Point it at a project's root, or unset it.",
            )
        return root
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise ConfigurationError(
        f"No {PROJECT_FILE} in {here} or any folder above it.",
        remedy="Run this inside a project, or start one with `lavra init DIR`.",
    )


def load_settings(project: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings of the project at ``project`` (default: found from the current folder).

    Raises:
        ConfigurationError: no project, or a setting has a wrong value; the message names each
            setting, never its value.
    """
    root = find_project(project)
    try:
        return Settings(project=root, **overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'settings'}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(
            f"The settings of {root} are wrong: {problems}.",
            remedy=f"Correct {PROJECT_FILE} or the LAVRA_ variable; docs/settings.md lists them.",
        ) from error
    except ValueError as error:  # not TOML at all
        raise ConfigurationError(f"{root / PROJECT_FILE} is not valid TOML: {error}.") from error


def referenced(name: str) -> str | None:
    """Return an environment variable that a declaration in YAML refers to as ``${name}``.

    An empty one counts as not set.
    """
    return os.environ.get(name) or None
