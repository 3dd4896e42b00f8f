"""The model kind that writes only the rows that changed.

SQLMesh's own kinds either rewrite a table at every run (FULL) or trust a time column to say what
changed. Neither fits a table whose old rows change late: an order that is paid, cancelled or
corrected months after its day, or an item whose order lands after it. This kind computes the
model's whole result and brings the table to it: rows that differ are deleted and inserted in one
transaction, rows that do not are left in their files. It costs a read of the inputs at every run
and a write of what changed; a run that changes nothing makes no snapshot.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlmesh import CustomKind, CustomMaterialization
from sqlmesh.utils.errors import ConfigError

from lavra.modeling.engine import one_commit

if TYPE_CHECKING:
    from sqlmesh.core.engine_adapter.base import EngineAdapter
    from sqlmesh.core.model import Model

NAME = "changed_rows"


class ChangedRowsKind(CustomKind):
    """A kind whose result always is the whole table, so that a restatement is whole too."""

    @property
    def full_history_restatement_only(self) -> bool:
        """Whether a restatement covers all of history whatever interval is asked for."""
        return True


class ChangedRowsMaterialization(CustomMaterialization[ChangedRowsKind]):
    """Makes a table equal to the model's result by writing the difference.

    Rows are compared by all columns and matched by the model's grain. The result is exact for
    keys that repeat or are null too (audits judge them, they are not hidden here).

    A crash leaves the table as it was: the difference is one transaction, which is one DuckLake
    snapshot. On an engine other than DuckDB the table is replaced instead.
    """

    NAME = NAME

    def insert(
        self,
        table_name: str,
        query_or_df: Any,
        model: Model,
        is_first_insert: bool,  # noqa: ARG002 - the table itself says what it holds
        render_kwargs: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        """Bring ``table_name`` to the rows of ``query_or_df``."""
        if self.adapter.dialect != "duckdb":
            self._replace_query_for_model(model, table_name, query_or_df, render_kwargs, **kwargs)
            return
        with one_commit(self.adapter):
            if not self.adapter.table_exists(table_name):
                # Empty first: DuckLake partitions what is inserted, not what creates the table.
                self.create(
                    table_name, model, kwargs.get("is_snapshot_deployable", True), render_kwargs,
                    skip_grants=False, **(kwargs | {"dry_run": False}),
                )  # fmt: skip
            columns, _ = self._get_target_and_source_columns(model, table_name, render_kwargs)
            with _staged(self.adapter, query_or_df, columns) as staged:
                _write_difference(self.adapter, table_name, staged, list(columns), _grain(model))

    def append(
        self,
        table_name: str,
        query_or_df: Any,  # noqa: ARG002
        model: Model,
        render_kwargs: dict[str, Any],  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        """Refuse a second part of the result: the difference needs the whole.

        Raises:
            ConfigError: always; a Python model of this kind returns one DataFrame.
        """
        raise ConfigError(
            f"{model.name} yields its rows in parts into {table_name}; a model of the kind "
            f"{NAME!r} returns one DataFrame."
        )


def _grain(model: Model) -> list[str]:
    columns = [column.name for grain in model.grains[:1] for column in grain.find_all(exp.Column)]
    if not columns:
        raise ConfigError(f"{model.name} is of the kind {NAME!r} and declares no grain.")
    return columns


@contextmanager
def _staged(
    adapter: EngineAdapter, query_or_df: Any, columns: dict[str, exp.DataType]
) -> Iterator[str]:
    """Compute the result once, with the table's types, in a table of this connection alone."""
    name = f"lavra_result_{uuid.uuid4().hex}"
    frame = f"{name}_frame"
    if isinstance(query_or_df, exp.Query):
        source: exp.Expression = query_or_df.copy().subquery("result")
    else:
        adapter.cursor.register(frame, query_or_df)
        source = exp.to_table(frame)
    select = exp.select(
        *(exp.cast(exp.column(column, quoted=True), kind).as_(column, quoted=True)
          for column, kind in columns.items())
    ).from_(source)  # fmt: skip
    create = exp.Create(
        this=exp.to_table(name),
        kind="TABLE",
        expression=select,
        properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
    )
    try:
        adapter.execute(create)
        yield f'temp.main."{name}"'
        # Not dropped after a failure: rolling the transaction back does that.
        adapter.execute(f'DROP TABLE temp.main."{name}"')
    finally:
        if not isinstance(query_or_df, exp.Query):
            adapter.cursor.unregister(frame)


def _write_difference(
    adapter: EngineAdapter, table_name: str, staged: str, columns: list[str], grain: list[str]
) -> None:
    # Names come from the project's own models, quoted.
    table = exp.to_table(table_name).sql(dialect="duckdb", identify=True)
    names = ", ".join(_quoted(column) for column in columns)
    key = ", ".join(_quoted(column) for column in grain)
    changed = _quoted(f"lavra_changed_{uuid.uuid4().hex}")
    same_key = " AND ".join(
        f"changed.{name} IS NOT DISTINCT FROM kept.{name}" for name in map(_quoted, grain)
    )
    is_changed = f"EXISTS (FROM temp.main.{changed} AS changed WHERE {same_key})"
    adapter.execute(
        f"""
        CREATE TEMPORARY TABLE {changed} AS SELECT DISTINCT {key} FROM (
            (SELECT {names} FROM {staged} EXCEPT ALL SELECT {names} FROM {table})
            UNION ALL
            (SELECT {names} FROM {table} EXCEPT ALL SELECT {names} FROM {staged})
        )
        """  # noqa: S608
    )
    if adapter.fetchone(f"SELECT EXISTS (FROM temp.main.{changed})") == (True,):
        adapter.execute(f"DELETE FROM {table} AS kept WHERE {is_changed}")  # noqa: S608
        adapter.execute(
            f"""
            INSERT INTO {table} ({names})
            SELECT {names} FROM {staged} AS kept WHERE {is_changed} ORDER BY {key}
            """  # noqa: S608
        )
    adapter.execute(f"DROP TABLE temp.main.{changed}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
