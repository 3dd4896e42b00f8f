"""Types at the edge: what old Arrow readers and Parquet know, instead of views and intervals."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from query_service.formats.values import iso_interval


@lru_cache(maxsize=1024)
def plain_type(  # noqa: PLR0911 - one per kind of type
    kind: pa.DataType, *, for_parquet: bool = False
) -> pa.DataType:
    """Return the type that a column of type ``kind`` is sent as."""
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if for_parquet and pa.types.is_interval(kind):
        return pa.string()
    if for_parquet and pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(plain_type(f.type, for_parquet=for_parquet)) for f in kind])
    if pa.types.is_list(kind):
        field = kind.value_field
        return pa.list_(field.with_type(plain_type(field.type, for_parquet=for_parquet)))
    return kind


def plain_schema(schema: pa.Schema, *, for_parquet: bool = False) -> pa.Schema:
    """Return ``schema`` with every column's type as it is sent."""
    return pa.schema(
        [pa.field(f.name, plain_type(f.type, for_parquet=for_parquet), f.nullable) for f in schema]
    )


def plain_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows with the types of ``schema``, which :func:`plain_schema` made."""
    return pa.RecordBatch.from_arrays(
        [_plain(c, f.type) for c, f in zip(batch.columns, schema, strict=True)], schema=schema
    )


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_interval(column.type):
        return pa.array([None if v is None else iso_interval(v) for v in column.to_pylist()], kind)
    return column.cast(kind)
