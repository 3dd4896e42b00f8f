"""Numbered SQL files that bring Lavra's tables in the catalog to the current version.

Each file runs once, in order, in one transaction, under a lock. A file that has landed is never
edited: a checksum of each applied file is kept and compared.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from lavra.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

MIGRATION_LOCK = 0x1A57A_0001
"""Key of the advisory lock under which migrations run."""


def available() -> Iterator[tuple[int, str, str]]:
    """Yield each migration as (number, name, SQL), in order."""
    for resource in sorted(files(__name__).iterdir(), key=lambda r: r.name):
        if resource.name.endswith(".sql"):
            yield int(resource.name.split("_", 1)[0]), resource.name, resource.read_text("utf-8")


def migrate(connection: psycopg.Connection) -> list[str]:
    """Apply what is missing, in the connection's transaction, and return the names applied.

    Raises:
        CatalogError: the catalog has a migration that this Lavra does not know, or one whose
            text differs from ours.
    """
    numbers = {number for number, _, _ in available()}
    newest = max(numbers, default=0)
    if _applied(connection) == numbers:
        return []  # the common case takes no lock
    connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    connection.execute("create schema if not exists lavra")
    connection.execute(
        """
        create table if not exists lavra.schema_migration (
            number int primary key,
            name text not null,
            checksum text not null,
            applied_at timestamptz not null default now()
        )
        """
    )
    rows = connection.execute("select number, name, checksum from lavra.schema_migration")
    done = {number: (name, checksum) for number, name, checksum in rows.fetchall()}
    applied = []
    for number, name, sql in available():
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        if number in done:
            if done[number][1] != checksum:
                raise CatalogError(f"Migration {name} was applied to the catalog in another form.")
            continue
        connection.execute(sql.encode())
        connection.execute(
            "insert into lavra.schema_migration (number, name, checksum) values (%s, %s, %s)",
            (number, name, checksum),
        )
        applied.append(name)
    if any(number > newest for number in done):
        raise CatalogError(
            f"The catalog is at version {max(done)}, this Lavra knows {newest}.",
            remedy="Upgrade lavra on this machine.",
        )
    return applied


def _applied(connection: psycopg.Connection) -> set[int]:
    exists = connection.execute("select to_regclass('lavra.schema_migration')").fetchone()
    if exists is None or exists[0] is None:
        return set()
    rows = connection.execute("select number from lavra.schema_migration").fetchall()
    return {number for (number,) in rows}
