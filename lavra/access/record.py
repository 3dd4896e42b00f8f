"""The access log as people query it: the table ``lavra.access_log`` of the query service.

It is no table of a release. A grant reaches it only by its schema's name (``lavra.access_log``,
``lavra.*``), never by a wildcard that was written with Gold in mind.
"""

from __future__ import annotations

from typing import NamedTuple

SCHEMA = "lavra"
TABLE = "access_log"
NAME = f"{SCHEMA}.{TABLE}"
DESCRIPTION = "Each query, refusal and key event: who asked what, from where, and what came of it."
TIME_COLUMN = "at"


class RecordColumn(NamedTuple):
    """A column: its name, DuckDB's type, what people read of it, and SQL over the catalog's."""

    name: str
    type: str
    description: str
    sql: str = ""


COLUMNS = (
    RecordColumn("at", "TIMESTAMP", "When it began, UTC.", "at at time zone 'UTC'"),
    RecordColumn("event", "VARCHAR", "query, refusal or key."),
    RecordColumn(
        "outcome",
        "VARCHAR",
        "finished, not_modified, failed, cancelled, refused; created, rotated, revoked.",
    ),
    RecordColumn("code", "VARCHAR", "The error's code."),
    RecordColumn("caller", "VARCHAR", "Who; null when nobody was proven."),
    RecordColumn("kind", "VARCHAR", "key, token, superset or loopback."),
    RecordColumn("key_id", "VARCHAR", "The id of the API key."),
    RecordColumn("client", "VARCHAR", "The address that it came from."),
    RecordColumn("route", "VARCHAR", "Of a refusal: method and path."),
    RecordColumn("environment", "VARCHAR", "The SQLMesh environment that was asked."),
    RecordColumn("snapshot", "VARCHAR", "The release that answered."),
    RecordColumn(
        "tables", "VARCHAR", "The tables read, with commas.", "array_to_string(tables, ', ')"
    ),
    RecordColumn(
        "columns", "VARCHAR", "The columns read, with commas.", "array_to_string(columns, ', ')"
    ),
    RecordColumn("row_count", "BIGINT", "Rows answered."),
    RecordColumn("bytes", "BIGINT", "Bytes answered, before compression."),
    RecordColumn("duration_ms", "DOUBLE", "From request to the end of the answer."),
    RecordColumn("cached", "BOOLEAN", "Whether the answer was kept from before."),
    RecordColumn("format", "VARCHAR", "The answer's format."),
    RecordColumn("sql", "VARCHAR", "The statement, without keys and tokens; or null, by setting."),
    RecordColumn("sql_sha256", "VARCHAR", "The SHA-256 of the statement."),
    RecordColumn("detail", "VARCHAR", "More, for people."),
    RecordColumn("query_id", "VARCHAR", "The query's id."),
    RecordColumn("id", "VARCHAR", "The entry's id.", "replace(id::text, '-', '')"),
)


def is_system(table: str) -> bool:
    """Whether a table (``schema.table``) is the service's own, which no wildcard grants."""
    return table.casefold().startswith(f"{SCHEMA}.")
