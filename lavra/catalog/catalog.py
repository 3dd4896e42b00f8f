"""The catalog: one Postgres database that every part of a lake agrees through.

It holds, each in a schema of its own: DuckLake's metadata (``ducklake``), SQLMesh's state
(``sqlmesh``) and Lavra's own tables (``lavra``: releases, landing state). Superset's metadata is
a second database beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lavra.catalog.local_postgres import LocalPostgres
from lavra.catalog.migrations import migrate
from lavra.errors import CatalogError, CatalogUnavailable, ConfigurationError
from lavra.libpq import KEEPALIVE

if TYPE_CHECKING:
    from lavra.settings import Settings

DUCKLAKE_SCHEMA = "ducklake"
SQLMESH_SCHEMA = "sqlmesh"
LAVRA_SCHEMA = "lavra"
LOCAL_DATABASE = "lavra"
SUPERSET_DATABASE = "superset"

CONNECT_TIMEOUT_S = 10


class Catalog:
    """A catalog that is reachable and migrated; build it with :func:`open_catalog`."""

    def __init__(self, conninfo: str, server: LocalPostgres | None = None) -> None:
        self._parameters: dict[str, Any] = conninfo_to_dict(conninfo)
        self.server = server

    def __reduce__(self) -> tuple[type[Catalog], tuple[str]]:
        """Let another process use the same catalog, while this one keeps its server running."""
        return Catalog, (self.to_libpq(),)

    def __repr__(self) -> str:
        shown = {k: self._parameters.get(k) for k in ("host", "port", "dbname")}
        return f"Catalog({shown})"

    @contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
        """Open a connection; the block is one transaction unless ``autocommit``.

        Raises:
            CatalogUnavailable: the database cannot be reached.
            CatalogError: a statement failed; the transaction is rolled back.
        """
        try:
            connection = psycopg.connect(self.to_libpq(), autocommit=autocommit)
        except psycopg.OperationalError as error:
            raise CatalogUnavailable(
                f"The catalog {self!r} cannot be reached: {_first_line(error)}",
                remedy="Check LAVRA_CATALOG_URL and that the database accepts connections.",
            ) from error
        try:
            with connection:
                yield connection
        except psycopg.OperationalError as error:
            raise CatalogUnavailable(f"The catalog broke off: {_first_line(error)}") from error
        except psycopg.Error as error:
            raise CatalogError(f"The catalog refused: {_first_line(error)}") from error

    def to_ducklake(self) -> str:
        """Return the metadata path of DuckLake's ATTACH (it holds the password, if there is one).

        Values are quoted for libpq; the caller quotes the whole for SQL.
        """
        return "postgres:" + self.to_libpq()

    def to_libpq(self) -> str:
        """Return the connection string as libpq takes it (it holds the password, if any)."""
        patience = KEEPALIVE | {"connect_timeout": str(CONNECT_TIMEOUT_S)}
        return make_conninfo("", **(patience | self._parameters))

    def to_sqlalchemy(self, database: str | None = None, driver: str = "psycopg2") -> str:
        """Return the SQLAlchemy URL of the catalog, or of another ``database`` of its server."""
        parameters = dict(self._parameters)
        user = quote(str(parameters.pop("user")), safe="")
        password = parameters.pop("password", None)
        login = f"{user}:{quote(str(password), safe='')}" if password else user
        name = database or parameters["dbname"]
        parameters.pop("dbname")
        return f"postgresql+{driver}://{login}@/{name}?{urlencode(parameters)}"

    def ensure_database(self, name: str) -> None:
        """Create another database on the catalog's server unless it exists."""
        with self.connect(autocommit=True) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (name,))
            if found.fetchone():
                return
            try:
                connection.execute(
                    psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name))
                )
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # another process was first


_local_servers: dict[str, LocalPostgres] = {}
_local_servers_lock = threading.Lock()


def local_server(settings: Settings) -> LocalPostgres:
    """Return this process's handle on the lake's own Postgres, started.

    A process has one handle per server, whatever the number of callers.
    """
    folder = settings.state / "postgres"
    with _local_servers_lock:
        server = _local_servers.setdefault(str(folder), LocalPostgres(folder))
        server.start()
    return server


def open_catalog(settings: Settings) -> Catalog:
    """Return the catalog, started if it is our own, with Lavra's tables at the current version.

    Raises:
        ConfigurationError: LAVRA_CATALOG_URL is no Postgres URL, or lacks host, user or database.
        CatalogUnavailable: it cannot be started or reached.
        CatalogError: its tables come from a newer Lavra.
    """
    if settings.catalog_is_embedded:
        server = local_server(settings)
        Catalog(server.url()).ensure_database(LOCAL_DATABASE)
        catalog = Catalog(server.url(LOCAL_DATABASE), server)
    else:
        catalog = Catalog(_checked_url(settings.catalog_url.get_secret_value()))
    with catalog.connect() as connection:
        migrate(connection)
    return catalog


def _checked_url(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError(
            "LAVRA_CATALOG_URL must start with postgresql://.",
            remedy="For example postgresql://user:password@host:5432/lavra?sslmode=verify-full.",
        )
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # The parser's own message would repeat the URL, password included.
        raise ConfigurationError("LAVRA_CATALOG_URL is not a well-formed Postgres URL.") from None
    missing = [name for name in ("host", "user", "dbname") if not parameters.get(name)]
    if missing:
        raise ConfigurationError(f"LAVRA_CATALOG_URL lacks {', '.join(missing)}.")
    return url


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
