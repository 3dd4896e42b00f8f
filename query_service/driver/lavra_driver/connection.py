"""PEP 249 connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from lavra_driver import exceptions
from lavra_driver.cursor import Cursor
from lavra_driver.exceptions import InterfaceError
from lavra_driver.google import IdentityTokens, audience_of
from lavra_driver.transport import Endpoint, Transport, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lavra_driver.parameters import Parameters

DEFAULT_ENVIRONMENT = "prod"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def connect(
    host: str = "127.0.0.1",
    port: int | None = None,
    environment: str = DEFAULT_ENVIRONMENT,
    *,
    api_key: str | None = None,
    token: str | Callable[[], str] | None = None,
    auth: str | None = None,
    audience: str | None = None,
    https: bool = False,
    verify: bool = True,
    ca_file: str | None = None,
    timeout_s: float | None = None,
    connect_timeout_s: float = 10.0,
    retries: int = 3,
    row_limit: int | None = None,
    snapshot: str | None = None,
    schema: str | None = None,
    headers: Mapping[str, str] | None = None,
    share_pool: bool = False,
) -> Connection:
    """Return a connection to a query service; nothing is sent before the first query.

    Args:
        host: The service's host, or its whole URL (``https://lake.example.com``).
        port: Its port; 8080 without https, 443 with it.
        environment: The SQLMesh environment to read.
        api_key: A key made by ``lavra keys create``.
        token: A bearer token instead of a key, or a function that returns one for each request.
        auth: ``google`` to send an identity token of the metadata server, which Cloud Run asks
            for; with a key or a token, beside it.
        audience: Whom that token is for, if not the service's URL (a custom domain, say).
        https: Whether to speak TLS.
        verify: Whether to check the service's certificate.
        ca_file: Certificates to trust instead of the system's.
        timeout_s: Time limit of each query, in seconds, kept by the service and, a little later,
            by the driver.
        connect_timeout_s: Longest wait for the connection itself, in seconds.
        retries: How often a call is made again, at most, when the service's error says that the
            same call may succeed later.
        row_limit: Cut every result to this many rows (``cursor.truncated`` says so).
        snapshot: Read this retained release instead of the current one.
        schema: What a program means by a table without a schema. The connection keeps it for that
            program (Superset completes the names); the service itself wants ``schema.table``.
        headers: Further headers of every call.
        share_pool: Leave HTTP connections open when this one is closed, for the next one of this
            process to the same service: for programs that connect for each query (Superset).

    Raises:
        InterfaceError: an argument makes no sense.
    """
    if api_key and token:
        raise InterfaceError("give an api_key or a token, not both")
    if not environment:
        raise InterfaceError("environment must not be empty")
    if host.startswith(("http://", "https://")):
        url = host.rstrip("/")
        if port is not None:
            raise InterfaceError("a URL says its own port")
    else:
        scheme = "https" if https else "http"
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        url = f"{scheme}://{shown}:{port or (443 if https else 8080)}"
    endpoint = Endpoint(
        url=url,
        credential=api_key or token,
        identity=_identity(auth, audience, url),
        timeout_s=None if timeout_s is None else timeout_s + 5,
        connect_timeout_s=connect_timeout_s,
        retries=retries,
        ca_file=ca_file,
        verify=verify,
        headers=dict(headers or {}),
        share_pool=share_pool,
    )
    return Connection(
        Transport(endpoint),
        environment=environment,
        timeout_s=timeout_s,
        row_limit=row_limit,
        snapshot=snapshot,
        schema=schema,
    )


class Connection:
    """A connection to one environment of a service; made by :func:`connect`.

    It is a pool of HTTP connections, so threads may share it, each with cursors of its own.
    There are no transactions: each query reads the current release (or the one named by
    ``snapshot``), whole; commit and rollback do nothing.
    """

    # PEP 249's optional extension: code that holds only a connection can catch its errors.
    Warning = exceptions.Warning
    Error = exceptions.Error
    InterfaceError = exceptions.InterfaceError
    DatabaseError = exceptions.DatabaseError
    DataError = exceptions.DataError
    OperationalError = exceptions.OperationalError
    IntegrityError = exceptions.IntegrityError
    InternalError = exceptions.InternalError
    ProgrammingError = exceptions.ProgrammingError
    NotSupportedError = exceptions.NotSupportedError

    def __init__(
        self,
        transport: Transport,
        *,
        environment: str = DEFAULT_ENVIRONMENT,
        timeout_s: float | None = None,
        row_limit: int | None = None,
        snapshot: str | None = None,
        schema: str | None = None,
    ) -> None:
        self.environment = environment
        self.timeout_s = timeout_s
        self.row_limit = row_limit
        self.snapshot = snapshot
        self.schema = schema
        self._transport = transport
        self._closed = False

    def __repr__(self) -> str:
        return f"Connection({self._transport.endpoint.url}, environment={self.environment!r})"

    def __enter__(self) -> Connection:
        self._check_open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    @property
    def transport(self) -> Transport:
        """The HTTP side, for cursors.

        Raises:
            InterfaceError: the connection is closed.
        """
        self._check_open()
        return self._transport

    def close(self) -> None:
        """Close it; its cursors fail from now on.

        Raises:
            InterfaceError: it is closed already, which PEP 249 counts as an error.
        """
        self._check_open()
        self._closed = True
        self._transport.close()

    def commit(self) -> None:
        """Do nothing: there is nothing to commit."""
        self._check_open()

    def rollback(self) -> None:
        """Do nothing: there is nothing to roll back."""
        self._check_open()

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        self._check_open()
        return Cursor(self)

    def execute(self, sql: str, parameters: Parameters = None) -> Cursor:
        """Run a query on a new cursor and return the cursor."""
        return self.cursor().execute(sql, parameters)

    def ping(self) -> bool:
        """Whether the service answers queries now: its ``/readyz`` says so."""
        try:
            self.transport.get_json("/readyz")
        except exceptions.OperationalError:
            return False
        return True

    def cancel(self, query_id: str) -> bool:
        """Stop a query of this key by its id; False when it is not running (any more)."""
        return self.transport.cancel(query_id)

    def environments(self) -> list[dict[str, Any]]:
        """Return the environments that this key may read, prod first: name, ready, snapshot."""
        answer = self.transport.get_json("/v1/environments")
        environments: list[dict[str, Any]] = answer["environments"]
        return environments

    def tables(self) -> list[dict[str, Any]]:
        """Return the environment's tables, as ``GET /v1/tables`` lists them."""
        answer = self.transport.get_json("/v1/tables", environment=self.environment)
        tables: list[dict[str, Any]] = answer["tables"]
        return tables

    def table(self, schema: str, name: str) -> dict[str, Any]:
        """Return what the service knows of one table: columns, grain, rows, freshness, parents.

        Raises:
            ProgrammingError: no such table (code ``unknown_table``).
        """
        path = path_of("v1", "tables", schema, name)
        table: dict[str, Any] = self.transport.get_json(path, environment=self.environment)
        return table

    def current_snapshot(self) -> dict[str, Any]:
        """Return the release that is served: ``id``, ``released_at``, ``data_through``."""
        answer: dict[str, Any] = self.transport.get_json(
            "/v1/snapshot", environment=self.environment
        )
        return answer

    def answer_tag(self) -> str:
        """Return a tag that changes whenever an answer to this caller may.

        It does with each release, and with what the caller may see. Nothing is run for it.
        """
        query = {"query": "select 1", "environment": self.environment}
        return self.transport.get_tag(f"/v1/sql?{urlencode(query)}")

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the connection is closed")


def _identity(auth: str | None, audience: str | None, url: str) -> Callable[[], str] | None:
    if auth is None:
        if audience:
            raise InterfaceError("audience is for auth='google'")
        return None
    if auth != "google":
        raise InterfaceError(f"auth can be 'google', not {auth!r}")
    if urlsplit(url).scheme != "https" and urlsplit(url).hostname not in _LOOPBACK:
        raise InterfaceError("auth='google' needs https: its token must not be read on the way")
    return IdentityTokens(audience or audience_of(url))


def url_of(host: str, port: int, environment: str = DEFAULT_ENVIRONMENT, key: str = "") -> str:
    """Return the SQLAlchemy URL of a service: the key stands where a password would."""
    login = f":{quote(key, safe='')}@" if key else ""
    return f"lavra://{login}{host}:{port}/{quote(environment, safe='')}"
