"""SQL macros that every lake's models may use; importing the module registers them.

A model's definition keeps a macro as an import of this module, so its text, and with it the
model's fingerprint, does not depend on what the macro expands to.
"""

from __future__ import annotations

import json
from typing import Any

from sqlglot import exp
from sqlmesh.core.macros import MacroEvaluator, macro
from sqlmesh.utils.errors import SQLMeshError

from lavra.ducklake import LAKE
from lavra.landing import manifest
from lavra.landing.bronze_reader import relation_sql
from lavra.landing.dialects import Target
from lavra.landing.manifest import Landed, LandedFile
from lavra.modeling import stream_points
from lavra.modeling.lake import active_lake
from lavra.streams.current import current_rows_sql
from lavra.streams.source import SEQUENCE
from lavra.streams.tables import ensure_landing_table

CONTRACT_COLUMNS = {
    "_airbyte_raw_id": "VARCHAR",
    "_airbyte_extracted_at": "TIMESTAMPTZ",
    "_airbyte_generation_id": "BIGINT",
}
"""What every landed file holds beside the stream's own columns."""

CDC_COLUMNS = {
    "_ab_cdc_lsn": "BIGINT",
    "_ab_cdc_updated_at": "TIMESTAMPTZ",
    "_ab_cdc_deleted_at": "TIMESTAMPTZ",
    "_lavra_sequence": "BIGINT",
}
"""What every row of a stream holds besides."""


@macro()
def bronze(
    evaluator: MacroEvaluator, namespace: exp.Expr, stream: exp.Expr, *columns: exp.Expr
) -> exp.Expr:
    """Expand ``@bronze(namespace, stream, column::type, ...)`` to a read of what has landed.

    It stands in a FROM clause and yields the named columns, cast to the named types, and the
    contract's own: ``_airbyte_raw_id``, ``_airbyte_extracted_at``, ``_airbyte_generation_id``.
    Columns are found by name. One that a file lacks is NULL in that file's rows; a stream of
    which nothing has landed is an empty relation of the same types.

    While a project is loaded it is that empty relation, so that neither lineage, nor column
    types, nor fingerprints depend on the files. In BigQuery it is the table that Airbyte lands
    the stream in, which has to have all the columns.
    """
    types = _declared(columns)
    files: tuple[LandedFile, ...] = ()
    if evaluator.runtime_stage != "loading":
        if active_lake().settings.models_gateway == "bigquery":
            return _landed_in_bigquery(namespace.name, stream.name, types)
        files = landed(namespace.name, stream.name).files
    nulls = exp.select(*(exp.alias_(exp.null(), name, quoted=True) for name in types)).where(
        "FALSE"
    )
    source: exp.Query = nulls
    ours = [file.url for file in files if file.shape is None]
    if ours:
        reader = exp.func(
            "READ_PARQUET",
            exp.array(*(exp.Literal.string(url) for url in ours)),
            exp.EQ(this=exp.column("union_by_name"), expression=exp.true()),
            dialect="duckdb",
        )
        source = exp.union(
            exp.select("*").from_(reader), nulls, distinct=False, by_name=True, copy=False
        )
    query: exp.Query = exp.select(*_cast(types)).from_(source.subquery("landed"))
    targets = {name: _target(kind) for name, kind in types.items()}
    for text in relation_sql([file for file in files if file.shape is not None], targets):
        query = exp.union(query, exp.maybe_parse(text, dialect="duckdb"), distinct=False)
    return query.subquery()


@macro()
def stream(
    evaluator: MacroEvaluator, stream: exp.Expr, table: exp.Expr, *columns: exp.Expr
) -> exp.Expr:
    """Expand ``@stream(stream, table, column::type, ...)`` to every change of a streamed table.

    It stands in a FROM clause and yields the named columns, cast to the named types, the
    contract's own, and ``_ab_cdc_lsn``, ``_ab_cdc_updated_at``, ``_ab_cdc_deleted_at`` and
    ``_lavra_sequence``, the total order. It ends where the stream was when the run began, so all
    models of a run read the same changes. A table that has not landed yet is made, empty.

    While a project is loaded it is an empty relation of the same types.
    """
    return _changes(evaluator, stream, table, columns, exp.LTE)


@macro()
def stream_tail(
    evaluator: MacroEvaluator, stream: exp.Expr, table: exp.Expr, *columns: exp.Expr
) -> exp.Expr:
    """Expand to the changes of a streamed table that landed after where ``@stream`` ends.

    In a VIEW it shows each batch once it has landed: what such a view adds to a table made with
    ``@stream`` is what a later run will find.
    """
    return _changes(evaluator, stream, table, columns, exp.GT)


def _changes(
    evaluator: MacroEvaluator,
    stream: exp.Expr,
    table: exp.Expr,
    columns: tuple[exp.Expr, ...],
    compare: type[exp.Binary],
) -> exp.Expr:
    if active_lake().settings.models_gateway == "bigquery":
        raise SQLMeshError(
            f"The changes of the stream {stream.name!r} are in DuckLake, which BigQuery does not "
            "read. Leave its domain out: see LAVRA_DOMAINS in docs/settings.md."
        )
    types = _declared(columns) | {
        name: exp.DataType.build(kind, dialect="duckdb") for name, kind in CDC_COLUMNS.items()
    }
    present: set[str] = set()
    source: exp.Expr | None = None
    if evaluator.runtime_stage != "loading":
        present = stream_columns(stream.name, table.name, types)
        source = exp.table_(table.name, db=f"landing_{stream.name}", catalog=LAKE, quoted=True)
    query = exp.select(
        *(
            exp.alias_(
                exp.cast(exp.column(name, quoted=True) if name in present else exp.null(), kind),
                name,
                quoted=True,
            )
            for name, kind in types.items()
        )
    )
    if source is None:
        return query.where("FALSE").subquery()
    end = exp.Literal.number(stream_point(stream.name))
    within = compare(this=exp.column(SEQUENCE, quoted=True), expression=end)
    return query.from_(source).where(within).subquery()


@macro()
def current_rows(_evaluator: MacroEvaluator, relation: exp.Expr, *key: exp.Expr) -> exp.Expr:
    """Expand ``@current_rows(relation, key, ...)`` to the rows that exist now.

    It stands in a FROM clause, ``relation`` being a table or model that holds changes as
    ``@stream`` yields them: of each key the latest, unless it was deleted; nothing from before
    the table was last emptied.
    """
    if not key:
        raise SQLMeshError("@current_rows needs the columns of the key after the relation.")
    table = relation
    if isinstance(relation, exp.Column):
        parts = [part.name for part in relation.parts]
        table = exp.table_(*reversed(parts), quoted=True)
    sql = current_rows_sql(table.sql(dialect="duckdb"), [column.name for column in key])
    query: exp.Query = exp.maybe_parse(sql, dialect="duckdb")
    return query.subquery()


def stream_columns(stream: str, table: str, types: dict[str, exp.DataType]) -> set[str]:
    """Return the columns that a streamed table has, once it is there with at least ``types``."""
    lake = active_lake()
    columns = {name: kind.sql(dialect="duckdb") for name, kind in types.items()}
    return ensure_landing_table(lake.catalog, lake.connect, stream, table, columns)


def stream_point(stream: str) -> int:
    """Return the number of the last change that the run in this process reads of a stream."""
    return active_lake().stream_point(stream)


def hold_streams(streams: set[str]) -> None:
    """Begin a run: from now on it reads what has landed of these streams by now, and no more."""
    lake = active_lake()
    lake.forget_stream_points()
    for name in sorted(streams):
        lake.stream_point(name)


def rows_landed(stream: str, table: str) -> list[int]:
    """Return what changes whenever rows land in a streamed table."""
    with active_lake().catalog.connect() as connection:
        return stream_points.rows_landed(connection, stream, table)


def first_landed(stream: str, table: str, since: int) -> int | None:
    """Return when the earliest row after the first ``since`` of a streamed table came about."""
    with active_lake().connect() as connection:
        return stream_points.first_landed(connection, stream, table, since)


def landed(namespace: str, stream: str) -> Landed:
    """Return what counts of a stream now: the files, and the names that the ledger keeps."""
    lake = active_lake()
    return manifest.landed(lake.catalog, lake.storage, namespace, stream)


def _cast(types: dict[str, exp.DataType]) -> list[exp.Expr]:
    return [
        exp.alias_(exp.cast(exp.column(name, quoted=True), kind), name, quoted=True)
        for name, kind in types.items()
    ]


def _landed_in_bigquery(namespace: str, stream: str, types: dict[str, exp.DataType]) -> exp.Expr:
    from lavra.modeling.bigquery import landed_table  # noqa: PLC0415 - of that gateway alone

    table = landed_table(active_lake().settings, namespace, stream)
    return exp.select(*_cast(types)).from_(table).subquery()


def _target(kind: exp.DataType) -> Target:
    structure = _structure(kind)
    is_nested = isinstance(structure, dict | list)
    return Target(kind.sql(dialect="duckdb"), json.dumps(structure) if is_nested else None)


def _structure(kind: exp.DataType) -> Any:
    """Return a type in the form of DuckDB's ``from_json``: objects, lists, names of types."""
    if kind.is_type(exp.DType.STRUCT):
        return {field.name: _structure(field.args["kind"]) for field in kind.expressions}
    if kind.is_type(exp.DType.ARRAY, exp.DType.LIST):
        return [_structure(kind.expressions[0])]
    return kind.sql(dialect="duckdb")


def _declared(columns: tuple[exp.Expr, ...]) -> dict[str, exp.DataType]:
    types = {
        name: exp.DataType.build(kind, dialect="duckdb") for name, kind in CONTRACT_COLUMNS.items()
    }
    for column in columns:
        if not isinstance(column, exp.Cast) or not isinstance(column.this, exp.Column):
            raise SQLMeshError(
                f"A column is declared as name::type, not {column.sql(dialect='duckdb')}."
            )
        types[column.this.name] = column.to
    return types
