"""A workload's Postgres on this machine: one server a domain, filled once."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from lavra.catalog.local_postgres import LocalPostgres

if TYPE_CHECKING:
    from lavra.settings import Settings

_OPTIONS = {"wal_level": "logical", "max_replication_slots": "10", "max_wal_senders": "10"}
"""Any of them may be followed by change data capture."""

_servers: dict[str, LocalPostgres] = {}
_servers_lock = threading.Lock()


def workload_server(settings: Settings, domain: str) -> LocalPostgres:
    """Return this process's handle on a domain's Postgres; it may not be started."""
    folder = settings.state / "sources" / domain
    with _servers_lock:
        return _servers.setdefault(str(folder), LocalPostgres(folder, _OPTIONS))


@contextmanager
def filling(server: LocalPostgres, database: str) -> Iterator[psycopg.Connection]:
    """Yield a connection to a database, made if there is none, in one transaction.

    Others who fill the same server wait. A crash leaves what was there before.
    """
    with (server.folder / "fill.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (database,))
            if found.fetchone() is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
        with psycopg.connect(server.url(database)) as connection:
            yield connection


def copy_rows(
    connection: psycopg.Connection,
    table: str,
    columns: Iterable[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Add rows to a table by COPY."""
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def touch_on_update(connection: psycopg.Connection, table: str) -> None:
    """Have ``updated_at`` set by each update, with the function ``touch`` of the schema's file."""
    connection.execute(
        sql.SQL(
            "create trigger touch before update on {} for each row execute function touch()"
        ).format(sql.Identifier(table))
    )


def scalar(connection: psycopg.Connection, statement: sql.SQL | sql.Composed) -> Any:
    """Return the first value of the first row, or None."""
    row = connection.execute(statement).fetchone()
    return row[0] if row else None
