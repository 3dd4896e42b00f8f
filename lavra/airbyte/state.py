"""What we made on an Airbyte server: ids, and what was sent last. Kept in the catalog."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from lavra.airbyte.fields import Fields, recorded
from lavra.airbyte.server import Kind
from lavra.catalog.locks import advisory_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from lavra.catalog import Catalog

APPLY_LOCK = 0x1A57A_0500
"""Key of the advisory lock under which a server is changed."""


@dataclass(frozen=True)
class Recorded:
    """One resource that we made, or were about to make.

    Attributes:
        kind: What it is.
        name: Its name on the server, and in the YAML.
        resource_id: Its id on the server; None while it is pending.
        applied: What we sent last (:func:`lavra.airbyte.fields.recorded`).
        observed: The server's fields right after that.
        streams: Of a connection: every stream that the source offered then.
        salt: Of the digests in ``applied``.
    """

    kind: Kind
    name: str
    resource_id: str | None
    applied: dict[str, dict[str, Any]] = field(default_factory=dict)
    observed: dict[str, Any] = field(default_factory=dict)
    streams: tuple[str, ...] = ()
    salt: str = ""


class AirbyteState:
    """The recorded resources of one workspace; every write is a transaction of its own."""

    def __init__(self, catalog: Catalog, workspace_id: str) -> None:
        self._catalog = catalog
        self._workspace_id = workspace_id

    @contextmanager
    def lock(self, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only one who changes the server, waiting for whoever does now."""
        with advisory_lock(self._catalog, APPLY_LOCK, on_wait=on_wait):
            yield

    def all(self) -> dict[tuple[Kind, str], Recorded]:
        """Return every resource by kind and name."""
        with self._catalog.connect() as connection:
            rows = connection.execute(
                "select kind, name, resource_id, applied, observed, streams, salt"
                " from lavra.airbyte_resource where workspace_id = %s",
                (self._workspace_id,),
            ).fetchall()
        return {
            (row[0], row[1]): Recorded(
                row[0], row[1], row[2], row[3], row[4], tuple(row[5]), row[6]
            )
            for row in rows
        }

    def pending(self, kind: Kind, name: str) -> Recorded:
        """Record that a resource is about to be created."""
        record = Recorded(kind, name, None, salt=secrets.token_hex(16))
        self._write(record)
        return record

    def done(
        self,
        kind: Kind,
        name: str,
        resource_id: str,
        *,
        sent: Fields,
        observed: Fields,
        streams: tuple[str, ...] = (),
    ) -> None:
        """Record what was sent and what the server made of it."""
        salt = secrets.token_hex(16)
        self._write(
            Recorded(kind, name, resource_id, recorded(sent, salt), observed, streams, salt)
        )

    def forget(self, kind: Kind, name: str) -> None:
        """Record that a resource is gone."""
        with self._catalog.connect() as connection:
            connection.execute(
                "delete from lavra.airbyte_resource"
                " where workspace_id = %s and kind = %s and name = %s",
                (self._workspace_id, kind, name),
            )

    def _write(self, record: Recorded) -> None:
        with self._catalog.connect() as connection:
            connection.execute(
                "insert into lavra.airbyte_resource (workspace_id, kind, name, resource_id,"
                " applied, observed, streams, salt) values (%s, %s, %s, %s, %s, %s, %s, %s)"
                " on conflict (workspace_id, kind, name) do update set"
                " resource_id = excluded.resource_id, applied = excluded.applied,"
                " observed = excluded.observed, streams = excluded.streams,"
                " salt = excluded.salt, updated_at = clock_timestamp()",
                (
                    self._workspace_id, record.kind, record.name, record.resource_id,
                    Jsonb(record.applied), Jsonb(record.observed), Jsonb(list(record.streams)),
                    record.salt,
                ),
            )  # fmt: skip
