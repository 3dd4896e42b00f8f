"""The one settings object, and the only reader of the environment.

Precedence, highest first: arguments, environment variables (``LAVRA_<NAME>``), the project's
``lavra.toml``, defaults. ``docs/settings.md`` documents every field; a test holds it to that.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from lavra.errors import ConfigurationError

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


def _issuers(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        parts = urlsplit(url)
        schemes = {"https", "http"} if parts.hostname in {"127.0.0.1", "localhost"} else {"https"}
        if not parts.hostname or parts.scheme not in schemes:
            msg = "an issuer must start with https://"
            raise ValueError(msg)
    return urls


class Settings(BaseSettings):
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
        description="The shipped workloads that `lavra up` starts a source for (commerce).",
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

    airbyte_url: str = Field(
        default="",
        description="The API of a real Airbyte, for `lavra ingest plan` and `apply`: "
        "https://api.airbyte.com/v1, or http://host:8000/api/public/v1. Empty: there is none.",
    )
    airbyte_workspace_id: str = Field(
        default="", description="The workspace there whose connections this lake declares."
    )
    airbyte_client_id: str = Field(
        default="", description="Id of an application of that Airbyte, with its secret."
    )
    airbyte_client_secret: SecretStr = Field(
        default=SecretStr(""), description="The application's secret."
    )
    airbyte_token: SecretStr = Field(
        default=SecretStr(""), description="A bearer token for that Airbyte, without application."
    )

    access_log: Literal["catalog", "stdout"] = Field(
        default="catalog",
        description="Where the query service's record of each query and refusal goes: the "
        "catalog, or standard output as JSON lines for Cloud Logging.",
    )
    access_log_retention_days: int = Field(
        default=90, ge=1, le=3650, description="Days that the catalog keeps the access log."
    )
    access_log_sql: Literal["text", "digest"] = Field(
        default="text",
        description="Whether the access log holds the text of each query, or only its SHA-256.",
    )
    oidc_audiences: tuple[str, ...] = Field(
        default=(), description="Audiences, one of which a bearer token must be made for."
    )
    oidc_issuers: Annotated[tuple[str, ...], AfterValidator(_issuers)] = Field(
        default=(),
        description="OpenID Connect issuers whose tokens are trusted (https://accounts.google.com "
        "for Google's), as JSON.",
    )
    oidc_roles_claim: str = Field(
        default="roles",
        description="Claim that holds a token's roles or groups; dots lead into objects "
        "(realm_access.roles).",
    )
    oidc_user_claim: str = Field(
        default="email", description="Claim that names a token's user: email, or sub."
    )

    service_allow_loopback: bool = Field(
        default=False,
        description="Whether programs on this machine may ask the query service without a key, as "
        "its administrator. `lavra up` sets it.",
    )
    service_cache_dir: Path | None = Field(
        default=None,
        description="Where the query service keeps Gold's mapped memory; best on a fast local "
        "disk or a tmpfs. Default: service/cache in the state directory.",
    )
    service_cache_mb: int = Field(
        default=0,
        ge=0,
        description="Memory, in MiB, for Gold's tables. The largest that do not fit are scanned "
        "where they lie. 0: half of this machine's memory.",
    )
    service_cold_tables: tuple[str, ...] = Field(
        default=(),
        description="Tables that are never held in memory but scanned where they lie: patterns "
        'of schema.table with *, as JSON: ["gold_web.*"].',
    )
    service_engines: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Queries that run at once, each in a process of its own. "
        "0: one per processor, at least two.",
    )
    service_host: str = Field(
        default="127.0.0.1", description="Address that the query service listens on."
    )
    service_key: SecretStr = Field(
        default=SecretStr(""),
        description="API key with which the commands ask the query service.",
    )
    service_key_file: Path | None = Field(
        default=None, description="A file that holds that key, instead."
    )
    service_max_waiting: int = Field(
        default=200,
        ge=0,
        description="Queries that may wait for a free engine; more are answered with 429.",
    )
    service_port: int = Field(
        default=8080, ge=1, le=65535, description="Port that the query service listens on."
    )
    service_proxies: int = Field(
        default=0,
        ge=0,
        le=10,
        description="Proxies in front of the query service, each of which adds its client to "
        "X-Forwarded-For. 1 on Cloud Run.",
    )
    service_query_memory_mb: int = Field(
        default=1024,
        ge=16,
        description="Memory, in MiB, that one query may use before it spills or is refused.",
    )
    service_restricted_mb: int = Field(
        default=1024,
        ge=1,
        description="Disk or tmpfs, in MiB, for the copies of tables without the rows and columns "
        "that access rules hide; shared by callers who see the same.",
    )
    service_result_cache_mb: int = Field(
        default=128, ge=0, description="Memory, in MiB, for kept answers. 0 keeps none."
    )
    service_timeout_s: float = Field(
        default=60.0, gt=0, description="Time limit of a query that does not name its own."
    )
    service_tls_certificate: Path | None = Field(
        default=None,
        description="Certificate (PEM, with its chain) with which the query service speaks TLS.",
    )
    service_tls_key: Path | None = Field(
        default=None, description="The certificate's private key (PEM)."
    )
    service_url: str = Field(
        default="",
        description="Where clients reach the query service. Empty: http://<host>:<port>, "
        "or https with a certificate.",
    )
    superset_environments_dir: Path | None = Field(
        default=None,
        description="Where Superset's Python environments are made. Default: the user's cache.",
    )
    superset_host: str = Field(default="127.0.0.1", description="Address that Superset listens on.")
    superset_oidc_client_id: str = Field(
        default="", description="Superset's client id at the single sign-on provider."
    )
    superset_oidc_client_secret: SecretStr = Field(
        default=SecretStr(""),
        description="The secret of that client, or ${NAME}: the variable that holds it.",
    )
    superset_oidc_issuer: str = Field(
        default="",
        pattern="^(https?://.+)?$",
        description="Single sign-on for Superset: the OpenID Connect issuer, such as "
        "https://accounts.google.com. Empty: people log in with passwords of Superset's own.",
    )
    superset_oidc_scope: str = Field(
        default="openid email profile",
        description="What Superset asks the provider for; some tell groups only if asked.",
    )
    superset_signing_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret with which Superset signs who asks, at least 32 characters. Empty: one "
        "that `lavra up` makes in the state directory.",
    )
    superset_port: int = Field(
        default=8088, ge=1, le=65535, description="Port that Superset listens on."
    )
    log_level: str = Field(
        default="info",
        pattern="^(debug|info|warning|error)$",
        description="How much is logged: debug, info, warning or error.",
    )
    log_format: str = Field(
        default="text",
        pattern="^(text|json)$",
        description="How the query service logs: text for people, or one JSON object per line.",
    )
    log_sql: bool = Field(
        default=False,
        description="Whether the query service's log lines and traces hold the SQL, "
        "with whatever literals it contains.",
    )
    otlp_endpoint: str = Field(
        default="",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        pattern="^(https?://.+)?$",
        description="Where the query service sends OpenTelemetry traces over HTTP, for example "
        "http://127.0.0.1:4318. Empty: nowhere.",
    )

    workload_scale: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Size of a shipped workload's generated data, at its first start: 1 is about "
        "20,000 customers.",
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
