"""A source with a few tables, and a lake that follows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.settings import Settings, load_settings
from lavra.storage import LakeStorage, open_storage
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.postgres.source import PostgresStreamSource
from lavra.streams.runner import StreamRunner


@pytest.fixture(scope="session")
def source_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    server = LocalPostgres(
        tmp_path_factory.mktemp("source") / "pg",
        {"wal_level": "logical", "max_replication_slots": "20", "max_wal_senders": "20",
         "fsync": "off"},
    )  # fmt: skip
    server.start()
    yield server
    server.leave()


@pytest.fixture(scope="session")
def stream_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamLake]:
    root = tmp_path_factory.mktemp("streams") / "project"
    root.mkdir()
    (root / "lavra.toml").write_text('name = "test"\n')
    opened = StreamLake(load_settings(root))
    yield opened
    if opened.catalog.server:
        opened.catalog.server.leave()


class StreamLake:
    """A lake, and what it holds of a stream."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalog: Catalog = open_catalog(settings)
        self.storage: LakeStorage = open_storage(settings)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect_duckdb(self.storage, threads=1) as connection:
            attach_lake(connection, self.catalog, self.storage, read_only=True)
            return connection.execute(query).fetchall()


class Followed:
    """A database of its own and a stream that follows it."""

    def __init__(self, lake: StreamLake, server: LocalPostgres, name: str) -> None:
        self.lake, self.server, self.name = lake, server, name
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        self.url = server.url(name)
        self.declaration: StreamDeclaration

    def declare(self, *tables: str, **batch: Any) -> None:
        self.declaration = StreamDeclaration.model_validate(
            {"name": self.name, "description": "test", "owner": "test", "tables": tables,
             "source": {"connector": "postgres", "workload": "aviation"},
             "batch": {"max_seconds": 0.2} | batch}
        )  # fmt: skip

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement)

    def query(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()

    def source(self) -> PostgresStreamSource:
        return PostgresStreamSource(self.declaration, self.url, "test")

    def runner(self, **options: Any) -> StreamRunner:
        return StreamRunner(
            self.lake.catalog, self.lake.storage, self.declaration, self.source, **options
        )

    def catch_up(self) -> None:
        self.runner().run(threading.Event(), once=True)

    def landed(self, table: str, columns: str) -> list[tuple[Any, ...]]:
        return self.lake.rows(
            f"select {columns} from lake.landing_{self.name}.{table} order by _lavra_sequence"
        )

    def current(self, table: str, columns: str, *key: str) -> list[tuple[Any, ...]]:
        place = f"lake.landing_{self.name}.{table}"
        from lavra.streams.current import current_rows_sql

        return self.lake.rows(
            f"select {columns} from ({current_rows_sql(place, key)}) order by {', '.join(key)}"
        )


@pytest.fixture
def follow(
    stream_lake: StreamLake, source_server: LocalPostgres, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Followed]]:
    made: list[Followed] = []

    def make(*tables: str, sql: str = "", **batch: Any) -> Followed:
        name = f"s{abs(hash(request.node.nodeid)) % 10**9}_{len(made)}"
        followed = Followed(stream_lake, source_server, name)
        if sql:
            followed.sql(sql)
        followed.declare(*tables, **batch)
        made.append(followed)
        return followed

    yield make
    for followed in made:
        with psycopg.connect(followed.url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots "
                "where database = current_database() and active"
            )
            connection.execute(
                "select pg_drop_replication_slot(slot_name) from pg_replication_slots "
                "where database = current_database()"
            )
