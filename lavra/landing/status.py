"""What has landed, and whether it is fresh: for `lavra status` and `lavra ingest status`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.landing.connections import Connection


@dataclass(frozen=True)
class StreamStatus:
    """How a stream stands.

    Attributes:
        landed_at: End of the newest complete sync; None if there was none.
        row_count: Rows in the files that count now (versions of rows, where reads are
            incremental).
        bytes: Size of those files.
        file_count: Their number.
        last_status: Of the newest sync: running, succeeded, failed or abandoned (it crashed).
        last_error: Why the newest sync failed.
        last_row_count: Rows that the newest complete sync landed.
        misfit_count: Values of the newest complete sync that landed as null.
        schema_changes: Of the newest sync that had some, with its time under ``at``.
        freshness: How old the newest landing may be, if that is declared.
        is_fresh: Whether it is younger; None without an expectation.
    """

    connection: str
    namespace: str
    stream: str
    sync_mode: str
    landed_at: dt.datetime | None
    row_count: int
    bytes: int
    file_count: int
    last_status: str | None
    last_error: str | None
    last_row_count: int | None
    misfit_count: int | None
    schema_changes: tuple[dict[str, Any], ...]
    freshness: dt.timedelta | None
    is_fresh: bool | None


_QUERY = """
select s.namespace, s.stream, s.landed_at, f.row_count, f.bytes, f.file_count,
       l.status, l.error, g.row_count, g.misfit_count, c.ended_at, c.schema_changes
from lavra.landing_stream s
left join lateral (
    select coalesce(sum(row_count), 0)::bigint as row_count, coalesce(sum(bytes), 0)::bigint as bytes,
           count(*) as file_count
    from lavra.landing_file f where f.namespace = s.namespace and f.stream = s.stream
      and f.generation_id >= s.minimum_generation_id and f.replaced_at is null
      and f.compacted_into is null) f on true
left join lateral (
    select status, error from lavra.landing_sync l
    where l.namespace = s.namespace and l.stream = s.stream and l.sync_mode <> 'compaction'
    order by id desc limit 1) l on true
left join lateral (
    select row_count, misfit_count from lavra.landing_sync g
    where g.namespace = s.namespace and g.stream = s.stream and g.status = 'succeeded'
      and g.sync_mode <> 'compaction'
    order by id desc limit 1) g on true
left join lateral (
    select ended_at, schema_changes from lavra.landing_sync c
    where c.namespace = s.namespace and c.stream = s.stream and c.status = 'succeeded'
      and c.schema_changes <> '[]' order by id desc limit 1) c on true
"""  # noqa: E501


def stream_statuses(
    catalog: Catalog, connections: Sequence[Connection], *, now: dt.datetime | None = None
) -> list[StreamStatus]:
    """Return how each declared stream stands, in the order of the declarations.

    Args:
        catalog: Holds the manifest.
        connections: From :func:`lavra.landing.connections.load_connections`.
        now: The time against which freshness is judged; the present, when not given.
    """
    now = now or dt.datetime.now(dt.UTC)
    with catalog.connect() as connection:
        rows = {(row[0], row[1]): row[2:] for row in connection.execute(_QUERY).fetchall()}
    never = (None, 0, 0, 0, None, None, None, None, None, None)
    statuses = []
    for declared in connections:
        for stream in declared.streams:
            row = rows.get((declared.bronze_namespace, stream.name), never)
            landed_at, row_count, size, files, last, error, landed, misfits, at, changes = row
            freshness = stream.freshness or declared.freshness
            is_fresh = None
            if freshness is not None:
                is_fresh = landed_at is not None and now - landed_at <= freshness
            statuses.append(StreamStatus(
                declared.name, declared.bronze_namespace, stream.name, stream.sync_mode, landed_at,
                row_count, size, files, last, error, landed, misfits,
                tuple(change | {"at": at.isoformat()} for change in changes or ()),
                freshness, is_fresh,
            ))  # fmt: skip
    return statuses
