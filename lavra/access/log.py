"""The access log as the catalog keeps it: each query, refusal and key event, never changed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from psycopg.rows import dict_row

if TYPE_CHECKING:
    import psycopg

REFUSED = "refused"

BATCH = 1000
"""Entries of one statement."""


@dataclass(frozen=True)
class Entry:
    """One line of the record.

    Attributes:
        event: What happened.
        outcome: ``finished``, ``not_modified``, ``failed``, ``cancelled`` or ``refused`` for a
            query; ``refused`` for a refusal; ``created``, ``rotated`` or ``revoked`` for a key.
        code: The error's.
        caller, kind, key_id: Who; None when nobody was proven.
        client: The address that the request came from.
        route: Method and path of a refusal, without the query string.
        columns: "schema.table.column" read.
        bytes: Of the answer, before compression.
        duration_ms: From request to end of answer.
        sql, sql_sha256: By ``LAVRA_ACCESS_LOG_SQL`` the text, or only its digest.
        detail: More, for people.
    """

    event: Literal["query", "refusal", "key"]
    outcome: str
    code: str | None = None
    query_id: str | None = None
    caller: str | None = None
    kind: str | None = None
    key_id: str | None = None
    client: str | None = None
    route: str | None = None
    environment: str | None = None
    snapshot: str | None = None
    tables: list[str] | None = None
    columns: list[str] | None = None
    row_count: int | None = None
    bytes: int | None = None
    duration_ms: float | None = None
    cached: bool | None = None
    format: str | None = None
    sql: str | None = None
    sql_sha256: str | None = None
    detail: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = field(default_factory=lambda: secrets.token_hex(16))


_encode = json.JSONEncoder(separators=(",", ":")).encode

COLUMNS = tuple(one.name for one in fields(Entry))


def insert_entries(connection: psycopg.Connection, entries: Iterable[Entry]) -> None:
    """Add entries, in the connection's transaction; one that is there already stays as it is."""
    insert_lines(connection, (encode_entry(entry) for entry in entries))


def encode_entry(entry: Entry) -> bytes:
    """Return an entry as one JSON object on one line, without its end."""
    return encode_line(entry_values(entry))


def encode_line(values: dict[str, Any]) -> bytes:
    """Return values as one JSON object on one line, without its end."""
    return _encode(values).encode()


def entry_values(entry: Entry) -> dict[str, Any]:
    """Return what an entry says, as JSON has it."""
    shown = {name: value for name, value in vars(entry).items() if value is not None}
    shown["at"] = entry.at.isoformat()
    return shown


def insert_lines(connection: psycopg.Connection, lines: Iterable[bytes]) -> None:
    """Add entries given as :func:`encode_entry` makes them, in the connection's transaction.

    Postgres takes the lines apart, a thousand in a statement. Where thousands are answered a
    second, a statement for each took most of a processor, and taking them apart here held up the
    answers for a tenth of a second in each.

    Raises:
        CatalogError: one of them is not such a line; nothing is added.
    """
    names = ", ".join(COLUMNS)
    statement = (
        f"insert into lavra.access_log ({names}) select {names} "  # noqa: S608 - our own names
        "from jsonb_populate_recordset(null::lavra.access_log, %s::jsonb) "
        "on conflict (id) do nothing"
    )
    remaining = iter(lines)
    while batch := list(islice(remaining, BATCH)):
        connection.execute(statement.encode(), (f"[{b','.join(batch).decode()}]",))


def list_entries(
    connection: psycopg.Connection,
    *,
    user: str | None = None,
    since: datetime | None = None,
    refused: bool = False,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Return the newest entries, newest first.

    Args:
        connection: To the catalog.
        user: Only this caller's.
        since: Only from this time on.
        refused: Only refusals.
        limit: At most so many.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            "select * from lavra.access_log where (%s::text is null or caller = %s) "
            "and at >= coalesce(%s::timestamptz, '-infinity') "
            "and (outcome = 'refused' or not %s::bool) order by at desc limit %s",
            (user, user, since, refused, limit),
        ).fetchall()
    return [row | {"id": row["id"].hex} for row in rows]


def delete_before(connection: psycopg.Connection, moment: datetime) -> int:
    """Delete what is older; return how many entries that were. Never less than a day old."""
    return connection.execute("delete from lavra.access_log where at < %s", (moment,)).rowcount
