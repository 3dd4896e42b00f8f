"""A release as plain Parquet, for engines that know no DuckLake, such as BigQuery.

::

    export/<environment>/data/<release>-<attempt>/<schema>.<table>.parquet
    export/<environment>/tables/<schema>.<table>.manifest    the table's files, a URL a line
    export/<environment>/current.json                        what is exported; written last

Readers go by the manifests, which stay where they are and are replaced whole. All files of an
export are there before the first manifest moves, and those of the export before it stay for a day
after that, so a reader sees a table as one release has it, whenever this dies. Between the first
and the last manifest tables may be of two releases: an engine that reads files knows no more.

Only tables that the access policy restricts for nobody are exported: there, nobody asks the policy.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from lavra.access.policy import Policy, load_policy
from lavra.access.restrictions import restriction_of
from lavra.access.rights import TableShape
from lavra.catalog.locks import EXPORT_LOCK, advisory_lock
from lavra.ducklake import LAKE, attach_lake, connect_duckdb
from lavra.errors import ReleaseError, StorageError
from lavra.releases.lake_writes import last_writes
from lavra.releases.store import Release, ReleaseTable, current_release, list_releases

if TYPE_CHECKING:
    import psycopg

    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage

FOLDER = "export"
KEPT = timedelta(days=1)
"""How long files of an earlier export stay for readers that have begun: longer than any query."""

# What Parquet or BigQuery does not have, or not exactly, by the first word of DuckDB's type.
_WRITTEN_AS = {
    "BIT": "VARCHAR",
    "ENUM": "VARCHAR",
    "HUGEINT": "DECIMAL(38, 0)",
    "INTERVAL": "VARCHAR",
    "JSON": "VARCHAR",
    "TIME WITH TIME ZONE": "VARCHAR",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
    "TIMESTAMP_S": "TIMESTAMP",
    "UBIGINT": "DECIMAL(20, 0)",
    "UHUGEINT": "DECIMAL(38, 0)",
    "UUID": "VARCHAR",
}


@dataclass(frozen=True)
class ExportedTable:
    """What became of one table of the release.

    ``files`` are paths below the lake's root; none of a table that is left out. ``version`` tells
    its rows and columns from any others; None where that cannot be known, as of a view.
    """

    name: str
    outcome: Literal["written", "unchanged", "left out"]
    reason: str = ""
    rows: int = 0
    files: tuple[str, ...] = ()
    version: str | None = None


@dataclass(frozen=True)
class Export:
    """What is exported of an environment."""

    environment: str
    release_id: int
    tables: list[ExportedTable] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        return asdict(self)


def export_release(
    catalog: Catalog, storage: LakeStorage, project: Path, environment: str = "prod"
) -> Export:
    """Export an environment's current release; nothing is written for what has not changed.

    Calls at the same time take turns. Killed at any moment, it is done by the next call; until
    then readers have the earlier export.

    Raises:
        ReleaseError: there is no release, or the lake cannot be read as of it.
        ConfigurationError: the access policy is wrong.
        StorageError: the bucket cannot be read or written.
    """
    with advisory_lock(catalog, EXPORT_LOCK) as connection:
        release = current_release(connection, environment)
        if release is None:
            raise ReleaseError(
                f"Environment {environment} has no release.",
                remedy="`sqlmesh -p sqlmesh_project plan` makes the first one.",
            )
        restricted = restrictions(connection, load_policy(project), release)
        exporter = _Exporter(storage, f"{FOLDER}/{environment}", release)
        exporter.withdraw(restricted)
        writes = last_writes(connection)
        versions = {name(t): _version(t, writes, release.snapshot_id) for t in release.tables}
        tables = [
            ExportedTable(name(table), "left out", restricted[name(table)])
            if name(table) in restricted
            else exporter.unchanged(table, versions[name(table)])
            for table in release.tables
        ]
        done = {table.name: table for table in tables if table is not None}
        missing = [table for table in release.tables if name(table) not in done]
        done |= exporter.write(catalog, missing, versions)
        export = Export(environment, release.id, [done[name(t)] for t in release.tables])
        exporter.publish(export)
        return export


def restrictions(
    connection: psycopg.Connection, policy: Policy | None, release: Release
) -> dict[str, str]:
    """Return the release's tables that the policy restricts for anybody, and why.

    As in the service, a column is tagged everywhere once it is tagged in any release.
    """
    tags: dict[tuple[str, str], set[str]] = {}
    for each in (release, *list_releases(connection)):
        for table in each.tables:
            for column in table.columns:
                key = (name(table), column["name"].casefold())
                tags.setdefault(key, set()).update(column.get("tags", ()))
    found = {}
    for table in release.tables:
        columns = {
            column["name"]: frozenset(tags[name(table), column["name"].casefold()])
            for column in table.columns
        }
        reason = restriction_of(policy, TableShape(name(table), columns), release.environment)
        if reason:
            found[name(table)] = reason
    return found


def name(table: ReleaseTable) -> str:
    """Return a table's name as people query it."""
    return f"{table.schema_name}.{table.table_name}"


class _Exporter:
    """Writes one export below a folder of the lake."""

    def __init__(self, storage: LakeStorage, root: str, release: Release) -> None:
        self._storage, self._root, self._release = storage, root, release
        self._state: dict[str, Any] = {"tables": {}, "replaced": {}}
        if storage.exists(f"{root}/current.json"):
            with storage.open_input(f"{root}/current.json") as stream:
                self._state = json.load(stream)

    def withdraw(self, restricted: Iterable[str]) -> None:
        """Take away what is restricted since it was exported: at once, and for good."""
        gone = []
        for table in restricted:
            manifest = self._manifest(table)
            if self._storage.exists(manifest):
                gone.append(manifest)
            gone += [
                file.path
                for file in self._storage.list_files(f"{self._root}/data")
                if file.path.endswith(f"/{table}.parquet")
            ]
            self._state["tables"].pop(table, None)
        self._storage.delete(gone)

    def unchanged(self, table: ReleaseTable, version: str | None) -> ExportedTable | None:
        """Return a table as it was exported before, if it is the same now; else None."""
        before = self._state["tables"].get(name(table))
        if before is None or version is None or before["version"] != version:
            return None
        files = tuple(before["files"])
        if not all(self._storage.exists(path) for path in files):
            return None
        return ExportedTable(name(table), "unchanged", "", table.row_count, files, version)

    def write(
        self, catalog: Catalog, tables: list[ReleaseTable], versions: Mapping[str, str | None]
    ) -> dict[str, ExportedTable]:
        """Write tables as they are at the release's snapshot, into a folder that nobody knows."""
        if not tables:
            return {}
        folder = f"{self._root}/data/{self._release.id}-{uuid.uuid4().hex[:8]}"
        if self._storage.is_local:
            Path(self._storage.full_path(folder)).mkdir(parents=True)
        snapshot = self._release.snapshot_id
        done = {}
        try:
            with connect_duckdb(self._storage) as connection:
                attach_lake(
                    connection, catalog, self._storage, read_only=True, snapshot_version=snapshot
                )
                for table in tables:
                    path = f"{folder}/{name(table)}.parquet"
                    rows = _copy(connection, table, self._storage.url_of(path))
                    done[name(table)] = ExportedTable(
                        name(table), "written", "", rows, (path,), versions[name(table)]
                    )
        except duckdb.Error as error:
            raise ReleaseError(f"Release {self._release.id} cannot be exported: {error}") from error
        return done

    def publish(self, export: Export) -> None:
        """Let readers see the export, and remove what nobody can be reading any more."""
        exported = {table.name: table for table in export.tables if table.files}
        for table in exported.values():
            urls = "".join(f"{self._storage.url_of(path)}\n" for path in table.files)
            self._put(self._manifest(table.name), urls)
        self._storage.delete(
            [self._manifest(table) for table in self._state["tables"] if table not in exported]
        )
        now = datetime.now(UTC)
        used = {path for table in exported.values() for path in table.files}
        replaced = {
            file.path: self._state["replaced"].get(file.path, now.isoformat())
            for file in self._storage.list_files(f"{self._root}/data")
            if file.path not in used
        }
        old = [p for p, since in replaced.items() if datetime.fromisoformat(since) < now - KEPT]
        state = {
            "release": export.release_id,
            "tables": {
                name: {"files": list(t.files), "rows": t.rows, "version": t.version}
                for name, t in exported.items()
            },
            "replaced": {path: since for path, since in replaced.items() if path not in old},
        }
        if state != self._state:
            self._put(f"{self._root}/current.json", json.dumps(state, indent=1))
        self._storage.delete(old)

    def _manifest(self, table: str) -> str:
        return f"{self._root}/tables/{table}.manifest"

    def _put(self, path: str, text: str) -> None:
        try:
            with self._storage.open_input(path) as stream:
                if stream.read() == text.encode():
                    return
        except StorageError:
            pass  # there is none yet
        with self._storage.publish(path) as stream:
            stream.write(text.encode())


def _copy(connection: duckdb.DuckDBPyConnection, table: ReleaseTable, url: str) -> int:
    columns = ", ".join(_column(column["name"], column["type"]) for column in table.columns)
    source = f'"{LAKE}"."{table.physical_schema}"."{table.physical_table}"'
    target = url.replace("'", "''")
    written = connection.execute(
        f"copy (select {columns} from {source}) to '{target}' "  # noqa: S608 - the release's names
        "(format parquet, compression zstd)"
    ).fetchone()
    return int(written[0]) if written else 0


def _column(column: str, kind: str) -> str:
    quoted = '"' + column.replace('"', '""') + '"'
    wanted = _WRITTEN_AS.get(kind.split("(", maxsplit=1)[0])
    return f"cast({quoted} as {wanted}) as {quoted}" if wanted else quoted


def _version(table: ReleaseTable, writes: Mapping[str, int], snapshot_id: int) -> str | None:
    physical = f"{table.physical_schema}.{table.physical_table}"
    written = writes.get(physical)
    if written is None or written > snapshot_id:  # a view, or written to since the release
        return None
    columns = [[column["name"], column["type"]] for column in table.columns]
    return json.dumps([physical, written, columns])
