"""Keeps what streams land small: inlined rows become files, files are merged, snapshots expire.

All of it is commits of the lake like any other, so a kill at any moment leaves a lake that is
right, and the next round does what is missing. It runs between batches, on the stream's own
connection: nothing else writes its tables.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from lavra.ducklake import LAKE

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog
    from lavra.streams.source import Batch

logger = logging.getLogger(__name__)

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class MaintenanceLimits:
    """When something is done.

    Attributes:
        flush_rows: Inlined rows of a table that become a file at once.
        flush_s: Age, in seconds, at which fewer do.
        merge_files: New files of a table after which its small ones are merged; as many merged
            ones are merged again, size by size.
        merge_sizes: Bytes at which a file belongs to the next size; of the last it stays as it is.
        position_commits: Commits after which the old versions of the position go.
        expire_s: Seconds between two rounds of expiry.
        keep_snapshots_s: Age from which a stream's snapshots expire.
        keep_files_s: Age from which files that no snapshot names are removed: a reader that began
            before may be at them.
    """

    flush_rows: int = 2_000
    flush_s: float = 60.0
    merge_files: int = 16
    merge_sizes: tuple[int, ...] = (_MEBIBYTE, 16 * _MEBIBYTE, 256 * _MEBIBYTE)
    position_commits: int = 1_000
    expire_s: float = 60.0
    keep_snapshots_s: float = 600.0
    keep_files_s: float = 3_600.0


class Maintenance:
    """The housekeeping of one stream's tables.

    Args:
        catalog: The lake's catalog.
        connection: That lands the stream, between transactions.
        stream: The stream's name.
        inlined_rows: Up to how many rows an insert stays in the catalog.
        limits: When something is done.
    """

    def __init__(
        self,
        catalog: Catalog,
        connection: duckdb.DuckDBPyConnection,
        stream: str,
        inlined_rows: int,
        limits: MaintenanceLimits | None = None,
    ) -> None:
        self._catalog, self._connection = catalog, connection
        self._schema, self._inlined_rows = f"landing_{stream}", inlined_rows
        self._limits = limits or MaintenanceLimits()
        now = time.monotonic()
        self._inlined: dict[str, tuple[int, float]] = {}
        self._files: dict[str, int] = {}
        self._commits = 0
        self._expired_at = now - self._limits.expire_s  # the one before us may have been killed
        self._is_first = True

    def note(self, batch: Batch) -> None:
        """Take note of a batch that landed."""
        self._commits += 1
        for changes in batch.changes:
            table, rows = changes.table, changes.rows.num_rows
            if rows > self._inlined_rows:
                self._files[table] = self._files.get(table, 0) + 1
            else:
                known, since = self._inlined.get(table, (0, time.monotonic()))
                self._inlined[table] = (known + rows, since)

    def run(self) -> None:
        """Do what is due.

        Raises:
            duckdb.Error: the catalog or the storage failed; nothing is lost by that.
            CatalogError: the same.
        """
        limits, now = self._limits, time.monotonic()
        if self._is_first:
            for table in self._tables():
                self._inlined.setdefault(table, (0, now))
                self._files.setdefault(table, limits.merge_files // 2)
            self._is_first = False
        for table, (rows, since) in list(self._inlined.items()):
            if rows >= limits.flush_rows or now - since >= limits.flush_s:
                self._flush(table)
                del self._inlined[table]
                self._files[table] = self._files.get(table, 0) + 1
        for table, count in list(self._files.items()):
            if count >= limits.merge_files:
                self._merge(table)
                self._files[table] = 0
        if self._commits >= limits.position_commits:
            self._flush("_position")
            # A flush keeps the versions that are gone, as a file and what is deleted from it; all
            # such files are read with each commit until they are rewritten without.
            self._call(
                f"ducklake_rewrite_data_files('{LAKE}', '_position', schema => ?, "
                "delete_threshold => 0)", [self._schema],
            )  # fmt: skip
            self._commits = 0
        if now - self._expired_at >= limits.expire_s:
            self._expired_at = now
            self._expire()

    def _flush(self, table: str) -> None:
        self._call(
            f"ducklake_flush_inlined_data('{LAKE}', schema_name => ?, table_name => ?)",
            [self._schema, table],
        )

    def _merge(self, table: str) -> None:
        """Merge files with others of their size.

        All in one would write what a day has brought again with every round; so each row is
        written once for each size.
        """
        smallest = 0
        for level, size in enumerate(self._limits.merge_sizes):
            if level and self._count_files(table, smallest, size) < self._limits.merge_files:
                return
            self._call(
                f"ducklake_merge_adjacent_files('{LAKE}', ?, schema => ?, min_file_size => ?, "
                "max_file_size => ?)", [table, self._schema, smallest, size],
            )  # fmt: skip
            smallest = size

    def _count_files(self, table: str, smallest: int, size: int) -> int:
        """Return how many files of a size the fullest partition has: only those are merged."""
        with self._catalog.connect() as connection:
            row = connection.execute(
                """
                with files as (
                    select string_agg(p.partition_value, '/' order by p.partition_key_index) as day
                    from ducklake.ducklake_data_file f
                    join ducklake.ducklake_table t
                        on t.table_id = f.table_id and t.end_snapshot is null
                    join ducklake.ducklake_schema s
                        on s.schema_id = t.schema_id and s.end_snapshot is null
                    left join ducklake.ducklake_file_partition_value p
                        on p.data_file_id = f.data_file_id
                    where f.end_snapshot is null and s.schema_name = %s and t.table_name = %s
                      and f.file_size_bytes >= %s and f.file_size_bytes < %s
                    group by f.data_file_id
                )
                select count(*) from files group by day order by 1 desc limit 1
                """,
                (self._schema, table, smallest, size),
            ).fetchone()
        return int(row[0]) if row else 0

    def _expire(self) -> None:
        with self._catalog.connect() as connection:
            versions = expirable_snapshots(connection, self._limits.keep_snapshots_s)
        if versions:
            self._call(f"ducklake_expire_snapshots('{LAKE}', versions => {versions})", [])
            logger.debug("%s: %d snapshots expired", self._schema, len(versions))
        before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self._limits.keep_files_s)
        self._call(f"ducklake_cleanup_old_files('{LAKE}', older_than => ?)", [before])

    def _tables(self) -> list[str]:
        rows = self._connection.execute(
            "select table_name from information_schema.tables where table_catalog = ? "
            "and table_schema = ?",
            [LAKE, self._schema],
        ).fetchall()
        return [name for (name,) in rows if name != "_position"]

    def _call(self, function: str, values: list[object]) -> None:
        self._connection.execute(f"call {function}", values).fetchall()  # drained, or it blocks


def expirable_snapshots(connection: psycopg.Connection, keep_s: float) -> list[int]:
    """Return the lake's snapshots that nobody needs any more.

    Those are snapshots that changed landing tables alone, made longer than ``keep_s`` seconds
    ago, that no release names. Snapshots of models stay: the rule of releases reads in them what
    was last written. The newest one stays, too.
    """
    rows = connection.execute(
        r"""
        with landing as (
            select t.table_id from ducklake.ducklake_table t
            join ducklake.ducklake_schema s using (schema_id)
            where s.schema_name like 'landing\_%%'
        ), named as (
            select c.snapshot_id,
                   regexp_matches(c.changes_made, '([a-z_]+):([0-9]+|"[^,]*)', 'g') as change
            from ducklake.ducklake_snapshot_changes c
        )
        select s.snapshot_id from ducklake.ducklake_snapshot s
        join named n using (snapshot_id)
        where s.snapshot_time < clock_timestamp() - make_interval(secs => %s)
          and s.snapshot_id < (select max(snapshot_id) from ducklake.ducklake_snapshot)
          and s.snapshot_id not in (select snapshot_id from lavra.release)
        group by s.snapshot_id
        having bool_and(
            n.change[1] in ('inlined_insert', 'inlined_delete', 'inline_flush', 'merge_adjacent',
                            'inserted_into_table', 'deleted_from_table', 'rewrite_delete',
                            'compacted_table')
            and n.change[2] ~ '^[0-9]+$'
            and n.change[2]::bigint in (select table_id from landing)
        )
        order by s.snapshot_id
        """,
        (keep_s,),
    ).fetchall()
    return [int(row[0]) for row in rows]
