"""The settings by area: fields alone, which :class:`lavra.settings.Settings` unites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, SecretStr


def _issuers(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        parts = urlsplit(url)
        schemes = {"https", "http"} if parts.hostname in {"127.0.0.1", "localhost"} else {"https"}
        if not parts.hostname or parts.scheme not in schemes:
            msg = "an issuer must start with https://"
            raise ValueError(msg)
    return urls


class AirbyteSettings(BaseModel):
    """A real Airbyte."""

    airbyte_url: str = Field(
        default="",
        description="The API of a real Airbyte, for `lavra ingest plan`, `apply` and `run`: "
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
    airbyte_poll_seconds: float = Field(
        default=5.0, gt=0, description="Seconds between two looks at a job of that Airbyte."
    )
    airbyte_token: SecretStr = Field(
        default=SecretStr(""), description="A bearer token for that Airbyte, without application."
    )


class ConnectorSettings(BaseModel):
    """Airbyte's connectors, run here."""

    connector_attempts: int = Field(
        default=3,
        ge=1,
        le=20,
        description="How often a connector that fails for a passing reason is started in a run "
        "without getting any further.",
    )
    connector_checkpoint_s: float = Field(
        default=60.0,
        ge=0,
        description="Seconds between the checkpoints of an incremental stream: what landed until "
        "the last one stays when a run dies.",
    )
    connector_discover_hours: float = Field(
        default=24.0,
        ge=0,
        description="Hours for which what a connector says of its streams is believed. "
        "0: ask at every run.",
    )
    connector_environments_dir: Path | None = Field(
        default=None,
        description="Where connectors' Python environments are made. Default: the user's cache.",
    )
    connector_retry_s: float = Field(
        default=10.0,
        ge=0,
        description="Seconds before a failed connector is started again; doubled each time.",
    )
    connector_silence_s: float = Field(
        default=3600.0,
        gt=0,
        description="Seconds without a word after which a connector counts as hung and is ended.",
    )


class BronzeSettings(BaseModel):
    """The files of Bronze."""

    bronze_compact_files: int = Field(
        default=32,
        ge=2,
        description="Small files of a stream from which on `lavra ingest watch` writes them as "
        "large ones.",
    )
    bronze_keep_generations: int = Field(
        default=0,
        ge=0,
        description="Replaced generations of a stream that Bronze keeps, however old they are.",
    )
    bronze_keep_replaced_days: float = Field(
        default=2.0,
        ge=0,
        description="Days that Bronze keeps a file which no longer counts, for those who read it.",
    )
    bronze_large_file_mb: int = Field(
        default=256, ge=1, description="Size, in MiB, up to which small files are put together."
    )
    bronze_small_file_mb: int = Field(
        default=16, ge=1, description="Size, in MiB, below which a file of Bronze is small."
    )


class ReceiverSettings(BaseModel):
    """The receiver of a bucket's events, `lavra ingest receive`."""

    receiver_host: str = Field(
        default="127.0.0.1", description="Address that the receiver of events listens on."
    )
    receiver_port: int = Field(
        default=8070, ge=1, le=65535, description="Port that the receiver of events listens on."
    )
    receiver_senders: tuple[str, ...] = Field(
        default=(),
        description="Who may push events, by the tokens of LAVRA_OIDC_ISSUERS: email addresses of "
        "the service accounts of the push subscriptions and triggers, as JSON.",
    )


class WorkerSettings(BaseModel):
    """`lavra worker`."""

    worker_look_s: float = Field(
        default=15.0, gt=0, description="Seconds between two looks of the worker for what is due."
    )
    worker_metrics_host: str = Field(
        default="127.0.0.1", description="Address at which the worker answers `GET /metrics`."
    )
    worker_metrics_port: int = Field(
        default=9464,
        ge=0,
        le=65535,
        description="Port of the worker's metrics, for Prometheus. 0: none.",
    )
    worker_models_every_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds after which the worker runs the models although nothing arrived: "
        "some are due by their own schedule.",
    )
    worker_models_pause_s: float = Field(
        default=60.0,
        ge=0,
        description="Least seconds from one start of the models to the next, however much arrives.",
    )


class AccessSettings(BaseModel):
    """Who may ask, and the record of it."""

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


class ServiceSettings(BaseModel):
    """The query service."""

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


class SupersetSettings(BaseModel):
    """Superset."""

    superset_admin_password: SecretStr = Field(
        default=SecretStr(""),
        description="The administrator's password. Empty: one made in the state directory.",
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
    superset_secret_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key with which Superset seals sessions and what is secret in its metadata; "
        "all its instances share one. Empty: one made in the state directory.",
    )
    superset_service_auth: Literal["", "google"] = Field(
        default="",
        description="How Superset gets past what guards the query service: google, an identity "
        "token of its own account, for Cloud Run.",
    )
    superset_signing_secret: SecretStr = Field(
        default=SecretStr(""),
        description="Secret with which Superset signs who asks, at least 32 characters. Empty: one "
        "that `lavra up` makes in the state directory.",
    )
    superset_port: int = Field(
        default=8088, ge=1, le=65535, description="Port that Superset listens on."
    )


class LogSettings(BaseModel):
    """Logs and traces."""

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


class WorkloadSettings(BaseModel):
    """The shipped workloads, and the generator of aviation's changes."""

    aviation_registry: Path | None = Field(
        default=None,
        description="A folder with a real registry, planes.csv and airports.csv, whose aircraft "
        "the aviation workload takes at its first start. Empty: 120 made up ones.",
    )
    generator_database_url: SecretStr = Field(
        default=SecretStr(""),
        description="The maintenance database that aviation's generator writes to. Empty: the "
        "workload's own on this machine.",
    )
    generator_host: str = Field(
        default="127.0.0.1", description="Address that aviation's generator listens on."
    )
    generator_port: int = Field(
        default=8090, ge=1, le=65535, description="Port that aviation's generator listens on."
    )
    generator_rate: float = Field(
        default=0.0,
        ge=0,
        le=10_000,
        description="Maintenance events that aviation's generator records by itself each second.",
    )
    generator_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer token that aviation's generator asks for; without one it listens on "
        "loopback only.",
    )
    workload_scale: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Size of a shipped workload's generated data, at its first start: 1 is about "
        "20,000 customers, or 120 aircraft.",
    )
