"""The one lock under which the lake is written: by a plan, a run, a release, a rollback."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lavra.catalog.locks import LAKE_WRITE_LOCK, advisory_lock

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog

_HOLDER_QUERY = """
    select a.application_name, a.backend_start from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.classid::bigint = %s and l.objid::bigint = %s
"""


@dataclass(frozen=True)
class WriteSession:
    """The lock while it is held.

    ``connection`` holds it: write everything that relies on it through that connection.
    ``previous_generation`` is the lake's generation before this session raised it.
    """

    connection: psycopg.Connection
    previous_generation: int


def read_generation(catalog: Catalog) -> int:
    """Return the lake's generation, which rises with every session that may write."""
    with catalog.connect() as connection:
        row = connection.execute("select generation from lavra.lake_generation").fetchone()
    return int(row[0]) if row else 0


def holder(catalog: Catalog) -> str | None:
    """Return who holds the lock, in words, or None when nobody does."""
    key = (LAKE_WRITE_LOCK >> 32, LAKE_WRITE_LOCK & 0xFFFF_FFFF)
    with catalog.connect() as connection:
        row = connection.execute(_HOLDER_QUERY, key).fetchone()
    return f"{row[0]}, since {row[1]:%H:%M:%S} UTC" if row else None


@contextmanager
def write_lock(
    catalog: Catalog, purpose: str, *, say: Callable[[str], None] | None = None
) -> Iterator[WriteSession]:
    """Hold the lake's write lock for the block.

    A killed holder's lock is free at once, or after some 25 s if its machine vanished.

    Args:
        catalog: The catalog of the lake.
        purpose: What the lock is taken for, shown to those who wait.
        say: Told once, in a sentence, if another process has the lock.
    """

    def waiting() -> None:
        if say:
            who = holder(catalog) or "another process"
            say(f"The lake is being written by {who}. Waiting for it to finish.")

    with advisory_lock(catalog, LAKE_WRITE_LOCK, on_wait=waiting) as connection:
        name = f"{purpose} (process {os.getpid()} on {socket.gethostname()})"
        connection.execute("select set_config('application_name', %s, false)", (name[:63],))
        row = connection.execute(
            "update lavra.lake_generation set generation = generation + 1 returning generation - 1"
        ).fetchone()
        yield WriteSession(connection, int(row[0]) if row else 0)


def command_name() -> str:
    """Return the words of this process's command that say what it does, arguments left out."""
    words = [word for word in sys.argv[1:] if not word.startswith("-") and "/" not in word]
    return " ".join([os.path.basename(sys.argv[0] or "python"), *words[:1]])  # noqa: PTH119
