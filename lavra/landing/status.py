"""What has landed, and whether it is fresh: for `lavra status` and `lavra ingest status`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lavra.durations import format_duration

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
        last_row_count: Rows that the newest run to land something landed, in all its checkpoints.
        misfit_count: Values of that run that landed as null.
        schema_changes: Of the newest run that had some, with its time under ``at``.
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

    @property
    def freshness_shown(self) -> str:
        """Whether it is as fresh as expected, and what is expected; empty without."""
        if self.freshness is None:
            return ""
        return f"{'yes' if self.is_fresh else 'no'} (within {format_duration(self.freshness)})"

    @property
    def last_run_shown(self) -> str:
        """How the last run went, in a few words; what it landed, if it did."""
        if self.last_status != "succeeded":
            return self.last_status or ""
        said = f"succeeded: {self.last_row_count or 0:,} rows"
        return said + (f", {self.misfit_count:,} values null" if self.misfit_count else "")


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
    select coalesce(run_id, id) as run_id from lavra.landing_sync n
    where n.namespace = s.namespace and n.stream = s.stream and n.status = 'succeeded'
      and n.sync_mode <> 'compaction' order by id desc limit 1) n on true
left join lateral (
    select sum(row_count)::bigint as row_count, sum(misfit_count)::bigint as misfit_count
    from lavra.landing_sync g where g.namespace = s.namespace and g.stream = s.stream
      and g.status = 'succeeded' and g.id >= n.run_id and coalesce(g.run_id, g.id) = n.run_id
    ) g on true
left join lateral (
    select coalesce(run_id, id) as run_id from lavra.landing_sync d
    where d.namespace = s.namespace and d.stream = s.stream and d.status = 'succeeded'
      and d.schema_changes <> '[]' order by id desc limit 1) d on true
left join lateral (
    select max(ended_at) as ended_at, jsonb_agg(change order by c.id, place) as schema_changes
    from lavra.landing_sync c, jsonb_array_elements(c.schema_changes) with ordinality e(change, place)
    where c.namespace = s.namespace and c.stream = s.stream and c.status = 'succeeded'
      and c.id >= d.run_id and coalesce(c.run_id, c.id) = d.run_id) c on true
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
