"""Reads the Bronze contract: files of one stream as one table, columns matched by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lavra.errors import ContractError
from lavra.landing.bronze_writer import CONTRACT
from lavra.landing.dialects import Target, cast_sql, quoted

if TYPE_CHECKING:
    from lavra.landing.manifest import LandedFile
    from lavra.storage import LakeStorage


def read_schema(storage: LakeStorage, path: str) -> pa.Schema:
    """Return a file's schema, checked against the contract.

    Args:
        storage: The lake's files.
        path: Below the lake's root.

    Raises:
        ContractError: it is no Parquet file, or lacks a column of the contract.
        StorageError: it does not exist.
    """
    with storage.open_input(path) as stream:
        try:
            schema = pq.read_schema(stream)
        except pa.ArrowInvalid as error:
            raise ContractError(f"{storage.url}/{path} is not a Parquet file: {error}.") from error
    for field in CONTRACT:
        if field.name not in schema.names:
            raise ContractError(
                f"{storage.url}/{path} has no column {field.name}.",
                remedy="docs/ingestion.md describes what a Bronze file holds.",
            )
        if schema.field(field.name).type != field.type:
            raise ContractError(
                f"{storage.url}/{path}: {field.name} is {schema.field(field.name).type}, "
                f"not {field.type}."
            )
    return schema


def read_files(storage: LakeStorage, paths: Sequence[str]) -> pa.Table:
    """Return the rows of files as one table, in the order of the paths.

    Columns are matched by name; one that a file lacks is null in its rows; a type that changed
    becomes the one that holds both (text, if nothing else does).

    Raises:
        ContractError: a file breaks the contract.
        StorageError: a file does not exist.
    """
    tables = []
    for path in paths:
        read_schema(storage, path)
        with storage.open_input(path) as stream:
            tables.append(pq.read_table(stream))
    if not tables:
        return CONTRACT.empty_table()
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowTypeError:
        return pa.concat_tables(_common_types(tables), promote_options="permissive")


def relation_sql(files: Sequence[LandedFile], targets: Mapping[str, Target]) -> list[str]:
    """Return queries that together yield the rows of files of a real Airbyte's dialects.

    Each reads the files of one schema and one generation, and yields the columns of ``targets``
    in their order and of their types; a column that the files lack is null.

    Args:
        files: With a shape.
        targets: DuckDB's types by column, the contract's own among them.
    """
    groups: dict[tuple[str, str, int, int], list[LandedFile]] = {}
    for file in files:
        assert file.shape is not None  # noqa: S101 - said above
        # The manifest's numbers stand in for those that only the legacy dialect lacks.
        numbers = (file.generation_id, file.sync_id) if file.shape.dialect != "v2" else (0, 0)
        groups.setdefault((file.shape.dialect, file.shape.digest, *numbers), []).append(file)
    queries = []
    for (_, _, generation, sync), group in groups.items():
        shape = group[0].shape
        assert shape is not None  # noqa: S101
        values = shape.columns() | shape.contract(generation, sync)
        selected = ", ".join(
            f"{cast_sql(values[name], target) if name in values else f'CAST(NULL AS {target.sql})'}"
            f" AS {quoted(name)}"
            for name, target in targets.items()
        )
        urls = ", ".join("'" + file.url.replace("'", "''") + "'" for file in group)
        queries.append(f"SELECT {selected} FROM READ_PARQUET([{urls}])")
    return queries


def group_sql(files: Sequence[LandedFile]) -> str:
    """Return a query of all columns of files of one schema and generation, as the contract."""
    shape = files[0].shape
    urls = ", ".join("'" + file.url.replace("'", "''") + "'" for file in files)
    if shape is None:
        return f"SELECT * FROM READ_PARQUET([{urls}])"
    values = shape.columns() | shape.contract(files[0].generation_id, files[0].sync_id)
    selected = ", ".join(f"{value.sql} AS {quoted(name)}" for name, value in values.items())
    return f"SELECT {selected} FROM READ_PARQUET([{urls}])"


def _common_types(tables: list[pa.Table]) -> list[pa.Table]:
    types: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            types.setdefault(field.name, set()).add(field.type)
    mixed = {name for name, kinds in types.items() if len(kinds) > 1}
    cast = []
    for table in tables:
        fields = [
            pa.field(field.name, pa.string()) if field.name in mixed else field
            for field in table.schema
        ]
        cast.append(table.cast(pa.schema(fields)))
    return cast
