"""A source database to land from, and a short way to land."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from lavra.catalog import Catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.catalog.migrations import migrate
from lavra.landing.bronze_reader import read_files
from lavra.landing.connections import Connection
from lavra.landing.manifest import current_paths
from lavra.landing.run import StreamResult, run_connection
from lavra.settings import Settings
from lavra.storage import LakeStorage


@pytest.fixture(scope="session")
def source_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    server = LocalPostgres(tmp_path_factory.mktemp("source"), {"fsync": "off"})
    server.start()
    yield server
    server.leave()


@pytest.fixture
def source(source_server: LocalPostgres) -> Iterator[psycopg.Connection]:
    """An empty source database, autocommitting."""
    with psycopg.connect(source_server.url(), autocommit=True) as connection:
        connection.execute("drop schema public cascade; create schema public")
        yield connection


@pytest.fixture
def catalog(source_server: LocalPostgres) -> Catalog:
    """An empty, migrated catalog: a database of its own on a server that the tests share."""
    name = f"catalog_{uuid.uuid4().hex}"
    with psycopg.connect(source_server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    catalog = Catalog(source_server.url(name))
    with catalog.connect() as connection:
        migrate(connection)
    return catalog


@dataclass
class Lander:
    """Lands one stream, ``things``, and reads it back."""

    settings: Settings
    catalog: Catalog
    storage: LakeStorage
    config: dict[str, Any]
    connector: str = "postgres"
    extra: dict[str, Any] = field(default_factory=dict)

    def connection(self, **stream: Any) -> Connection:
        declared = {"name": "things"} | stream
        return Connection.model_validate(
            {
                "name": "test", "description": "d", "owner": "o", "streams": [declared],
                "source": {"connector": self.connector, "config": self.config},
            } | self.extra
        )  # fmt: skip

    def land(self, *, full_refresh: bool = False, **stream: Any) -> StreamResult:
        connection = self.connection(**stream)
        [result] = run_connection(
            self.settings, self.catalog, self.storage, connection, full_refresh=full_refresh
        )
        return result

    def landed(self, stream: str = "things") -> pa.Table:
        return read_files(self.storage, current_paths(self.catalog, "test", stream))

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        table = self.landed().select(columns)
        return [tuple(row.values()) for row in table.to_pylist()]


@pytest.fixture
def make_lander(
    source_server: LocalPostgres, settings: Settings, catalog: Catalog
) -> Callable[[LakeStorage], Lander]:
    config = {
        "host": str(source_server.socket_folder), "database": "postgres", "username": "postgres",
    }  # fmt: skip
    return lambda storage: Lander(settings, catalog, storage, config)


@pytest.fixture
def lander(make_lander: Callable[[LakeStorage], Lander], settings: Settings) -> Lander:
    """A lander on local storage."""
    from lavra.storage import open_storage

    return make_lander(open_storage(settings))
