"""Which files make up each table of a release, read from DuckLake's metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from lavra.catalog.catalog import DUCKLAKE_SCHEMA
from lavra.errors import CatalogError
from query_service.releases import table_name

if TYPE_CHECKING:
    import psycopg

    from query_service.releases import Release, ReleaseTable


@dataclass(frozen=True)
class DataFile:
    """One data file with the deletes that hold at the snapshot.

    Attributes:
        path: As DuckLake's ``filename`` column shows it.
        key: What its rows depend on, besides the table's columns.
        bytes: Size of the data file.
        row_count: Rows in it, deleted ones included.
        is_whole: Whether every row of it holds: none deleted, none of a later snapshot.
    """

    path: str
    key: list[Any]
    bytes: int
    row_count: int
    is_whole: bool


@dataclass(frozen=True)
class TableFiles:
    """The files of one table at a snapshot.

    Attributes:
        columns: Ids, names, types and defaults of the columns, as the metadata hold them.
        data_files: In row order.
        whole_key: Set when the table cannot be read file by file (it has inlined rows, or is a
            view).
        bytes: Size of all its data files; 0 of a view.
    """

    columns: list[list[Any]]
    data_files: list[DataFile]
    whole_key: list[Any] | None
    bytes: int

    @property
    def sources(self) -> frozenset[str]:
        """What names the contents of its files, and of nothing else."""
        keys = [file.key for file in self.data_files]
        return frozenset(map(str, keys if self.whole_key is None else [self.whole_key]))

    def bytes_besides(self, known: frozenset[str]) -> int:
        """Return the bytes of its files whose contents are not among those known."""
        if self.whole_key is not None:
            return 0 if self.sources <= known else self.bytes
        return sum(file.bytes for file in self.data_files if str(file.key) not in known)


_SCHEMA = sql.Identifier(DUCKLAKE_SCHEMA)


def list_table_files(connection: psycopg.Connection, release: Release) -> dict[str, TableFiles]:
    """Return the files of every table of a release, by "schema.table".

    Raises:
        CatalogError: the snapshot has expired or never was, or a table is not in it.
    """
    at = release.snapshot_id
    root = connection.execute(
        sql.SQL("select value from {}.ducklake_metadata where key = 'data_path'").format(_SCHEMA)
    ).fetchone()
    if root is None:
        raise CatalogError("The lake has no data path.", remedy="Has anything been written yet?")
    snapshot = connection.execute(
        sql.SQL("select 1 from {}.ducklake_snapshot where snapshot_id = %s").format(_SCHEMA), (at,)
    ).fetchone()
    if snapshot is None:
        raise CatalogError(f"The lake has no snapshot {at}; it may have expired.")
    return {
        table_name(table): _table_files(connection, table, at, root[0]) for table in release.tables
    }


def _table_files(
    connection: psycopg.Connection, table: ReleaseTable, at: int, root: str
) -> TableFiles:
    found = connection.execute(
        sql.SQL(
            "select t.table_id, t.table_uuid::text, s.path, s.path_is_relative, t.path, "
            "t.path_is_relative from {0}.ducklake_table t join {0}.ducklake_schema s "
            "using (schema_id) where s.schema_name = %(schema)s and t.table_name = %(table)s "
            "and s.begin_snapshot <= %(at)s and coalesce(s.end_snapshot > %(at)s, true) "
            "and t.begin_snapshot <= %(at)s and coalesce(t.end_snapshot > %(at)s, true)"
        ).format(_SCHEMA),
        {"schema": table.physical_schema, "table": table.physical_table, "at": at},
    ).fetchone()
    if found is None:
        return _view(connection, table, at)
    table_id, uuid, schema_path, schema_relative, table_path, table_relative = found
    folder = _below(_below(root, schema_path, schema_relative), table_path, table_relative)
    columns = connection.execute(
        sql.SQL(
            "select column_id, column_name, column_type, initial_default, parent_column "
            "from {}.ducklake_column where table_id = %(id)s and begin_snapshot <= %(at)s "
            "and coalesce(end_snapshot > %(at)s, true) order by column_order, column_id"
        ).format(_SCHEMA),
        {"id": table_id, "at": at},
    ).fetchall()
    rows = connection.execute(
        sql.SQL(
            "select f.path, f.path_is_relative, f.file_size_bytes, "
            "f.partial_max > %(at)s, d.path, d.partial_max > %(at)s, f.record_count, "
            "f.encryption_key is null "
            "from {0}.ducklake_data_file f left join {0}.ducklake_delete_file d "
            "on d.data_file_id = f.data_file_id and d.begin_snapshot <= %(at)s "
            "and coalesce(d.end_snapshot > %(at)s, true) "
            "where f.table_id = %(id)s and f.begin_snapshot <= %(at)s "
            "and coalesce(f.end_snapshot > %(at)s, true) "
            "order by f.file_order nulls first, f.data_file_id"
        ).format(_SCHEMA),
        {"id": table_id, "at": at},
    ).fetchall()
    inlined = connection.execute(
        sql.SQL("select 1 from {}.ducklake_inlined_data_tables where table_id = %s").format(
            _SCHEMA
        ),
        (table_id,),
    ).fetchone()
    files = []
    for path, relative, size, partial, delete_path, delete_partial, row_count, plain in rows:
        # A file merged from several snapshots shows fewer rows at an older one.
        snapshot = at if partial or delete_partial else None
        key = [uuid, path, delete_path, snapshot]
        is_whole = delete_path is None and not partial and plain
        files.append(DataFile(_below(folder, path, relative), key, size, row_count, is_whole))
    return TableFiles(
        columns=[list(column) for column in columns],
        data_files=files,
        whole_key=[uuid, at] if inlined else None,
        bytes=sum(file.bytes for file in files),
    )


def _view(connection: psycopg.Connection, table: ReleaseTable, at: int) -> TableFiles:
    """Return a view, whose rows are those of its query at the snapshot."""
    found = connection.execute(
        sql.SQL(
            "select v.view_uuid::text, v.sql from {0}.ducklake_view v "
            "join {0}.ducklake_schema s using (schema_id) "
            "where s.schema_name = %(schema)s and v.view_name = %(view)s "
            "and s.begin_snapshot <= %(at)s and coalesce(s.end_snapshot > %(at)s, true) "
            "and v.begin_snapshot <= %(at)s and coalesce(v.end_snapshot > %(at)s, true)"
        ).format(_SCHEMA),
        {"schema": table.physical_schema, "view": table.physical_table, "at": at},
    ).fetchone()
    if found is None:
        raise CatalogError(
            f"{table.physical_schema}.{table.physical_table} is not in snapshot {at}."
        )
    # Its columns are its query's and may follow those of what it reads, so they hold for this
    # snapshot alone.
    return TableFiles(
        columns=[[0, *found, at, None]], data_files=[], whole_key=[found[0], at], bytes=0
    )


def _below(folder: str, path: str, relative: bool) -> str:
    return folder.rstrip("/") + "/" + path if relative else path
