"""DuckDB connections to the lake, with extensions from wheels and nothing downloaded."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from lavra.catalog.catalog import DUCKLAKE_SCHEMA
from lavra.errors import CatalogError, CatalogUnavailable, ConfigurationError

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage

LAKE = "lake"
"""Name under which the lake's catalog is attached, in SQLMesh models as elsewhere."""

_EXTENSIONS = ("postgres_scanner", "httpfs", "ducklake")


def connect_duckdb(
    storage: LakeStorage, *, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB connection that can reach the lake's storage and catalog.

    The order matters: DuckLake refuses a ``gs://`` data path if httpfs, which claims that
    scheme too, was loaded before gcsfs was registered.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            **({"threads": str(threads)} if threads else {}),
        },
    )
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    storage.to_duckdb(connection)
    for name in _EXTENSIONS:
        connection.load_extension(str(_extension_file(name)))
    return connection


def attach_lake(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    storage: LakeStorage,
    *,
    alias: str = LAKE,
    read_only: bool = False,
    snapshot_version: int | None = None,
    inlined_rows: int = 0,
) -> None:
    """Attach the lake to a connection, creating it when it is new and not ``read_only``.

    Args:
        connection: From :func:`connect_duckdb`.
        catalog: Where DuckLake's metadata is.
        storage: Where its data files are, below ``ducklake/``.
        alias: The catalog's name in SQL.
        read_only: Refuse writes.
        snapshot_version: See the lake as it was at this snapshot, views included.
        inlined_rows: Inserts of at most so many rows are kept in the catalog. For streams alone:
            readers by data file do not see them.

    Raises:
        CatalogUnavailable: the catalog cannot be reached.
        CatalogError: DuckLake refused, for instance because the snapshot has expired.
    """
    options = [f"DATA_PATH {_quoted(data_path(storage))}", f"METADATA_SCHEMA '{DUCKLAKE_SCHEMA}'"]
    if read_only:
        options.append("READ_ONLY")
    else:
        options.append(f"DATA_INLINING_ROW_LIMIT {inlined_rows}")
    if snapshot_version is not None:
        options.append(f"SNAPSHOT_VERSION {snapshot_version}")
    path = _quoted("ducklake:" + catalog.to_ducklake())
    try:
        connection.execute(f'ATTACH {path} AS "{alias}" ({", ".join(options)})')
    except duckdb.Error as error:
        message = str(error).split("\n", 1)[0]
        kind = CatalogUnavailable if "connect" in message.lower() else CatalogError
        raise kind(f"Cannot attach the lake: {_without_password(message)}") from error


def data_path(storage: LakeStorage) -> str:
    """Return where DuckLake keeps its data files, as DuckDB takes it."""
    return storage.url_of("ducklake") + "/"


def _extension_file(name: str) -> Path:
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"The package {package.replace('_', '-')} is not installed.",
            remedy=f"Install it at DuckDB's own version, {duckdb.__version__}.",
        )
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return folder / f"{name}.duckdb_extension"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _without_password(message: str) -> str:
    return re.sub(r"password=('[^']*'|\S+)", "password=***", message)
