"""What a stream sets up at a Postgres server, and what it asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from lavra.errors import ConfigurationError, SourceError
from lavra.landing.postgres_types import landed_type
from lavra.landing.types import LandedType
from lavra.libpq import with_keepalive
from lavra.streams.postgres.pgoutput import RelationColumn


@dataclass(frozen=True)
class SourceColumn:
    """A column as the source has it now.

    Attributes:
        number: Postgres's own; a column that is dropped and made again has another.
        kind: What it lands as, by name.
        has_default: Whether rows that were there before it may hold something else than null.
    """

    number: int
    kind: str
    has_default: bool


@dataclass(frozen=True)
class SourceTable:
    """A table as the source has it now."""

    key: tuple[str, ...]
    columns: dict[str, SourceColumn]


@dataclass(frozen=True)
class Slot:
    """A replication slot: how far we confirmed, and how much log it keeps."""

    confirmed_lsn: int
    is_active: bool
    is_lost: bool
    behind_bytes: int
    retained_bytes: int


def publication_name(lake: str, stream: str) -> str:
    """Return the name of a stream's publication, and of its slot."""
    return f"lavra_{lake}_{stream}"[:63]


@contextmanager
def connect(conninfo: str) -> Iterator[psycopg.Connection]:
    """Connect for a few statements, each a transaction.

    Raises:
        SourceError: the server cannot be reached, breaks off, or refuses a statement.
    """
    try:
        with psycopg.connect(
            with_keepalive(conninfo), autocommit=True, connect_timeout=15
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise SourceError(
            f"The Postgres source failed: {str(error).strip().splitlines()[0]}",
            remedy="Check the stream's config, and that its user may replicate.",
        ) from error


def lsn(text: str) -> int:
    """Return a position in the log as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


def identity(connection: psycopg.Connection) -> str:
    """Return what tells this server's database from any other: system, timeline, database.

    Raises:
        ConfigurationError: the server does not write what logical replication needs.
    """
    level = connection.execute("show wal_level").fetchone()
    if level is None or level[0] != "logical":
        raise ConfigurationError(
            f"The source's wal_level is {level[0] if level else 'unknown'}.",
            remedy="Set wal_level = logical at the source, and restart it.",
        )
    row = connection.execute(
        "select s.system_identifier, c.timeline_id, "
        "(select oid from pg_database where datname = current_database()) "
        "from pg_control_system() s, pg_control_checkpoint() c"
    ).fetchone()
    return ":".join(map(str, row or ()))


def inspect_table(connection: psycopg.Connection, table: str) -> SourceTable:
    """Return the key and the columns of ``schema.table``; generated columns are left out.

    Raises:
        ConfigurationError: there is none, or its changes cannot be told apart: publishing it
            would make updates fail at the source.
    """
    schema, name = table.split(".")
    found = connection.execute(
        "select c.oid, c.relreplident::text from pg_class c "
        "join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p')",
        (schema, name),
    ).fetchone()
    if found is None:
        raise ConfigurationError(
            f"There is no table {table} at the source.", remedy="Correct the stream's `tables`."
        )
    oid, replica_identity = found
    index = "indisreplident" if replica_identity == "i" else "indisprimary"
    key = connection.execute(
        sql.SQL(
            "select a.attname from pg_index i cross join unnest(i.indkey) with ordinality k(n, p) "
            "join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n "
            "where i.indrelid = %s and i.{} and k.p <= i.indnkeyatts order by k.p"
        ).format(sql.Identifier(index)),
        (oid,),
    ).fetchall()
    if replica_identity == "n" or not key:
        raise ConfigurationError(
            f"{table} has no usable replica identity: updates and deletes would fail at the "
            "source once it were published.",
            remedy=f"Give it a primary key, or a unique index over columns that are not null with "
            f"`alter table {table} replica identity using index ...`.",
        )
    return SourceTable(tuple(row[0] for row in key), columns_now(connection, oid))


def columns_now(connection: psycopg.Connection, oid: int) -> dict[str, SourceColumn]:
    """Return a table's columns as they are now, by name; generated ones are left out."""
    rows = connection.execute(
        """
        select a.attname, a.attnum, t.typcategory::text, coalesce(b.typname, t.typname),
               coalesce(nullif(a.atttypmod, -1), t.typtypmod),
               a.atthasdef or a.atthasmissing or a.attidentity <> ''
        from pg_attribute a join pg_type t on t.oid = a.atttypid
        left join pg_type b on b.oid = t.typbasetype
        where a.attrelid = %s and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum
        """,
        (oid,),
    ).fetchall()
    return {
        name: SourceColumn(number, str(landed_type(category, type_name, modifier)), default)
        for name, number, category, type_name, modifier, default in rows
    }


def definition(connection: psycopg.Connection, table: str) -> tuple[object, ...]:
    """Return what is another after a table was rewritten, emptied, or had its columns changed."""
    row = connection.execute(
        "select c.oid, c.relfilenode from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = %s and c.relname = %s",
        table.split("."),
    ).fetchone()
    return (row, columns_now(connection, row[0]) if row else None)


class TypeNames:
    """What the types of announced columns land as; the source is asked once for each."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._known: dict[int, tuple[str, str, int, str]] = {}

    def kind(self, column: RelationColumn) -> tuple[LandedType, str | None]:
        """Return the type a column lands as, and for an array the category of its elements."""
        if column.type_oid not in self._known:
            with connect(self._conninfo) as connection:
                row = connection.execute(
                    "select t.typcategory::text, coalesce(b.typname, t.typname), t.typtypmod, "
                    "coalesce(e.typcategory::text, '') from pg_type t "
                    "left join pg_type b on b.oid = t.typbasetype "
                    "left join pg_type e on e.oid = t.typelem where t.oid = %s",
                    (column.type_oid,),
                ).fetchone()
            # A type that is gone by now belongs to columns that are gone too: text will do.
            self._known[column.type_oid] = row or ("S", "text", -1, "")
        category, name, modifier, element = self._known[column.type_oid]
        own = modifier if column.modifier == -1 else column.modifier
        return landed_type(category, name, own), element if category == "A" else None


def ensure_publication(connection: psycopg.Connection, name: str, tables: tuple[str, ...]) -> None:
    """Make the publication hold exactly these tables."""
    listed = sql.SQL(", ").join(sql.Identifier(*table.split(".")) for table in tables)
    rows = connection.execute(
        "select schemaname || '.' || tablename from pg_publication_tables where pubname = %s",
        (name,),
    ).fetchall()
    exists = connection.execute(
        "select 1 from pg_publication where pubname = %s", (name,)
    ).fetchone()
    if not exists:
        statement = "create publication {} for table {} with (publish_via_partition_root = true)"
    elif {row[0] for row in rows} != set(tables):
        statement = "alter publication {} set table {}"
    else:
        return
    connection.execute(sql.SQL(statement).format(sql.Identifier(name), listed))


def read_slot(connection: psycopg.Connection, name: str) -> Slot | None:
    """Return a slot, or None if there is none."""
    row = connection.execute(
        "select coalesce(confirmed_flush_lsn, '0/0')::text, active, "
        "coalesce(wal_status = 'lost', false), "
        "coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint, "
        "coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint "
        "from pg_replication_slots where slot_name = %s and database = current_database()",
        (name,),
    ).fetchone()
    return Slot(lsn(row[0]), *row[1:]) if row else None


def log_end(connection: psycopg.Connection) -> int:
    """Return where the server's log ends now."""
    row = connection.execute("select pg_current_wal_lsn()::text").fetchone()
    return lsn(row[0]) if row else 0


def create_slot(connection: psycopg.Connection, name: str) -> int:
    """Create a logical slot; return the position from which it knows everything."""
    row = connection.execute(
        "select lsn::text from pg_create_logical_replication_slot(%s, 'pgoutput')", (name,)
    ).fetchone()
    assert row is not None  # noqa: S101 - the function returns one row or raises
    return lsn(row[0])


def drop_slot(connection: psycopg.Connection, name: str) -> bool:
    """Drop a slot, ending whoever reads it; return whether there was one."""
    row = connection.execute(
        "select active_pid from pg_replication_slots where slot_name = %s", (name,)
    ).fetchone()
    if row is None:
        return False
    if row[0] is not None:
        connection.execute("select pg_terminate_backend(%s, 5000)", (row[0],))
    connection.execute("select pg_drop_replication_slot(%s)", (name,))
    return True


def drop_publication(connection: psycopg.Connection, name: str) -> bool:
    """Drop a publication; return whether there was one."""
    found = connection.execute("select 1 from pg_publication where pubname = %s", (name,))
    if found.fetchone() is None:
        return False
    connection.execute(sql.SQL("drop publication if exists {}").format(sql.Identifier(name)))
    return True


def parameters_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return connection parameters under which values are written as our parsers read them."""
    settings = (
        "-c datestyle=ISO,YMD -c timezone=UTC -c extra_float_digits=1 -c bytea_output=hex "
        "-c intervalstyle=postgres -c client_encoding=UTF8"
    )
    return {**options, "options": settings}
