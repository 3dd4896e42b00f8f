"""A DataFusion session over one release: its tables, opened when first read, and nothing else."""

from __future__ import annotations

import operator
import re
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Catalog, SchemaProvider, Table
from datafusion.object_store import GoogleCloud

from query_service.cache.release_file import CachedTable, read_release_file
from query_service.cache.segments import open_segment
from query_service.cache.statistics import BatchStatistics
from query_service.engine.columns_read import columns_read
from query_service.engine.information_schema import (
    CATALOG,
    INFORMATION_SCHEMA,
    information_schema,
)
from query_service.engine.pruning import TableKey, batches_needed
from query_service.engine.selectivity import SHARES, share_kept
from query_service.engine.system_views import SYSTEM_SCHEMA, system_views
from query_service.result_cache import is_volatile

_PASSES = "datafusion.optimizer.max_passes"
_KEPT = "datafusion.optimizer.default_filter_selectivity"
_SELECTS = re.compile(r"\s*(select|with|values)\b", re.IGNORECASE)
_COLLECT_BYTES = "datafusion.optimizer.hash_join_single_partition_threshold"
_COLLECT_ROWS = f"{_COLLECT_BYTES}_rows"
FEW_PARTITIONS = 4
COLLECT_BYTES = 64 * 1024 * 1024
COLLECT_ROWS = 2_000_000
"""With few threads, a join's smaller side up to this size is built once for all of them: to
distribute the larger side among them by its key costs more than to build in one."""

_COPIES = {"Filter", "Limit", "Projection", "Sort", "SubqueryAlias", "TableScan"}
COPIED_ROWS = 32 * 1024
"""Rows of a batch where they are only copied: each batch costs 0.1 ms on its way out of
DataFusion. Joins and aggregates are quicker with its own 8,192, which stay in the cache."""

KEPT_PLANS = 256
KEPT_SQL = 16 * 1024
"""So many plans of so long texts at most are kept for a release."""

LEAST_LEFT_OUT = 4
"""Batches that a filter must leave out for a statement to be planned again without them."""

_READ_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)


@dataclass(frozen=True)
class Bucket:
    """A Cloud Storage bucket, as DataFusion reads it; nothing for a local lake."""

    name: str = ""
    credentials: str = ""

    def register(self, context: SessionContext) -> None:
        """Let a context read the bucket."""
        if self.name:
            store = GoogleCloud(self.name, service_account_path=self.credentials or None)
            context.register_object_store("gs://", store, self.name)


@dataclass(frozen=True)
class Plan:
    """A statement, ready to run as often as it is asked for.

    Attributes:
        frame: DataFusion's DataFrame.
        schema: Of its rows.
        tables: The tables that it reads, as "schema.table".
        columns: What it reads of them, as "schema.table.column".
    """

    frame: Any
    schema: pa.Schema
    tables: tuple[str, ...]
    columns: tuple[str, ...]


class ReleaseSession:
    """Runs SQL over one release; read-only by construction.

    There is no object store, no URL table, no information schema of the engine's own, and the
    options refuse DDL, DML and statements, so SQL reaches the release's tables and nothing else.

    Args:
        release_file: The release's manifest.
        runtime: Memory pool and spill folder, shared by the engine's sessions.
        target_partitions: Threads of one query.
        bucket: Where cold tables' files are, if they are not local.

    One query at a time.
    """

    def __init__(
        self,
        release_file: Path,
        runtime: RuntimeEnvBuilder,
        target_partitions: int,
        bucket: Bucket | None = None,
    ) -> None:
        config = (
            SessionConfig()
            .with_information_schema(False)
            .with_create_default_catalog_and_schema(False)
            .with_default_catalog_and_schema(CATALOG, "unnamed")
            .with_target_partitions(target_partitions)
        )
        if target_partitions <= FEW_PARTITIONS:
            config = config.set(_COLLECT_BYTES, str(COLLECT_BYTES))
            config = config.set(_COLLECT_ROWS, str(COLLECT_ROWS))
        self._context = SessionContext(config, runtime)
        self._tables_read: set[str] = set()
        # Its optimizer makes no pass: what it executes is optimized already.
        self._executing = SessionContext(config.set(_PASSES, "0"), runtime)
        self._joining = {
            share: SessionContext(config.set(_PASSES, "0").set(_KEPT, str(share)), runtime)
            for share in SHARES
        }
        self._copying = SessionContext(config.with_batch_size(COPIED_ROWS), runtime)
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        bucket = bucket or Bucket()
        for context in (self._context, self._executing, self._copying, *self._joining.values()):
            bucket.register(context)
        tables = read_release_file(release_file)
        self._columns = {table.name: tuple(table.schema.names) for table in tables}
        catalog = Catalog.memory_catalog(self._context)
        self._schemas: dict[str, _ReleaseSchema] = {}
        for schema_name in sorted({table.schema_name for table in tables}):
            held = {t.table_name: t for t in tables if t.schema_name == schema_name}
            schema = _ReleaseSchema(held, self._tables_read, target_partitions, bucket)
            self._schemas[schema_name] = schema
            if schema_name != SYSTEM_SCHEMA:
                catalog.register_schema(schema_name, schema)
        catalog.register_schema(INFORMATION_SCHEMA, _Views(information_schema(tables)))
        system = _Views(system_views(tables), self._schemas.get(SYSTEM_SCHEMA))
        catalog.register_schema(SYSTEM_SCHEMA, system)
        self._context.register_catalog_provider(CATALOG, catalog)

    def plan(self, sql: str, parameters: dict[str, pa.Scalar]) -> Plan:
        """Plan one statement; raises what DataFusion raises.

        Plans are kept by their text: a release never changes, and planning and optimizing take
        longer than many a dashboard's query. A statement whose plan holds the time of its making
        (``now()``, EXPLAIN) is planned each time.
        """
        named = [f"{name} {value.type} {value!r}" for name, value in sorted(parameters.items())]
        key = "\0".join((sql, *named))
        selects = _SELECTS.match(sql)
        keeps = selects and len(key) <= KEPT_SQL and not is_volatile(sql)
        found = self._plans.get(key)
        if found:
            self._plans.move_to_end(key)
            return found
        self._tables_read.clear()
        frame = self._context.sql_with_options(sql, _READ_ONLY, param_values=parameters)
        schema = frame.schema()
        if selects:
            optimized = self._optimized(frame, sql, parameters)
            frame = self._context_for(optimized).create_dataframe_from_logical_plan(optimized)
        else:  # EXPLAIN, which may read as well
            optimized = frame.optimized_logical_plan()
        tables = {name: self._columns[name] for name in self._tables_read}
        read = columns_read(optimized.display_indent(), tables)
        made = Plan(frame, schema, tuple(sorted(self._tables_read)), read)
        if keeps:
            self._plans[key] = made
            if len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        return made

    def _optimized(self, frame: Any, sql: str, parameters: dict[str, pa.Scalar]) -> Any:
        """Return the optimized plan of a statement, over the batches that it can need."""
        optimized = frame.optimized_logical_plan()
        needed = {
            key: batches
            for key, batches in batches_needed(optimized, self._statistics_of).items()
            if batches.count(False) >= LEAST_LEFT_OUT
        }
        if not needed:
            return optimized
        try:
            for (schema, table), batches in needed.items():
                self._schemas[schema].narrow(table, batches)
            again = self._context.sql_with_options(sql, _READ_ONLY, param_values=parameters)
            narrowed = again.optimized_logical_plan()
        finally:
            for schema, table in needed:
                self._schemas[schema].widen(table)
        # A constant that moves with the time may reach other batches by now.
        after = batches_needed(narrowed, self._statistics_of)
        for key, batches in needed.items():
            if not all(map(operator.le, after.get(key, [True] * len(batches)), batches)):
                return optimized
        return narrowed

    def _context_for(self, optimized: Any) -> SessionContext:
        """Return the context that executes a plan best."""
        if _only_copies(optimized):
            return self._copying
        share = share_kept(optimized, self._rows_of, self._statistics_of)
        return self._executing if share is None else self._joining[share]

    def _rows_of(self, key: TableKey) -> int:
        schema, table = key
        return self._schemas[schema].rows(table) if schema in self._schemas else 0

    def _statistics_of(self, key: TableKey) -> BatchStatistics | None:
        schema, table = key
        return self._schemas[schema].statistics(table) if schema in self._schemas else None


def _only_copies(plan: Any) -> bool:
    """Whether a plan hands rows on as they come: it may answer millions of them."""
    name = plan.display().partition(":")[0]
    return name in _COPIES and all(map(_only_copies, plan.inputs()))


class _ReleaseSchema(SchemaProvider):  # type: ignore[misc]
    """The tables of one schema; notes which were looked up, and maps each when it first is."""

    def __init__(
        self,
        tables: dict[str, CachedTable],
        tables_read: set[str],
        partitions: int,
        bucket: Bucket,
    ) -> None:
        self._bucket = bucket
        self._tables = tables
        self._tables_read = tables_read
        self._partitions = partitions
        self._opened: dict[str, Table] = {}
        self._batches: dict[str, list[pa.RecordBatch]] = {}
        self._statistics: dict[str, BatchStatistics] = {}
        self._narrowed: dict[str, Table] = {}

    def table_names(self) -> set[str]:
        return set(self._tables)

    def table_exist(self, name: str) -> bool:
        return name in self._tables

    def table(self, name: str) -> Table | None:
        held = self._tables.get(name)
        if held is None:
            return None
        self._tables_read.add(held.name)
        if name not in self._opened:
            batches = self._map(held)
            self._opened[name] = _open_outside(
                lambda: (
                    scanned_table(held, batches, self._bucket)
                    if held.is_cold
                    else memory_table(held.schema, batches, self._partitions)
                )
            )
        return self._narrowed.get(name) or self._opened[name]

    def rows(self, name: str) -> int:
        """Return the number of rows of a table; 0 for one that is not here."""
        return self._tables[name].row_count if name in self._tables else 0

    def statistics(self, name: str) -> BatchStatistics | None:
        """Return what is known of a table's batches; None for one that is not held, or small."""
        held = self._statistics.get(name)
        return held if held and held.batches > LEAST_LEFT_OUT else None

    def narrow(self, name: str, needed: list[bool]) -> None:
        """Show only some batches of an opened table, until :meth:`widen`."""
        batches = [b for b, is_needed in zip(self._batches[name], needed, strict=True) if is_needed]
        self._narrowed[name] = memory_table(self._tables[name].schema, batches, self._partitions)

    def widen(self, name: str) -> None:
        """Show all of a table again."""
        self._narrowed.pop(name, None)

    def _map(self, held: CachedTable) -> list[pa.RecordBatch]:
        # A restricted release may name fewer columns than the segments it shares have.
        names = held.schema.names
        segments = [open_segment(Path(path)) for path in held.segments]
        batches = [
            b if b.schema.names == names else b.select(names) for s in segments for b in s.batches
        ]
        if not held.is_cold:
            self._batches[held.table_name] = batches
            self._statistics[held.table_name] = BatchStatistics.concat(
                [segment.statistics for segment in segments]
            )
        return batches


class _Views(SchemaProvider):  # type: ignore[misc]
    """A schema of views made of the release's own description, and perhaps tables beside them."""

    def __init__(self, views: dict[str, pa.Table], tables: _ReleaseSchema | None = None) -> None:
        self._views = views
        self._tables = tables
        self._opened: dict[str, Table] = {}

    def table_names(self) -> set[str]:
        return set(self._views) | (self._tables.table_names() if self._tables else set())

    def table_exist(self, name: str) -> bool:
        return name in self.table_names()

    def table(self, name: str) -> Table | None:
        view = self._views.get(name)
        if view is None:
            return self._tables.table(name) if self._tables else None
        if name not in self._opened:
            self._opened[name] = _open_outside(
                lambda: memory_table(view.schema, view.to_batches(), 1)
            )
        return self._opened[name]


def memory_table(schema: pa.Schema, batches: list[pa.RecordBatch], partitions: int) -> Table:
    """Return a table over batches, cut into runs of about equal size, one per thread."""
    if not batches:
        batches = [pa.RecordBatch.from_pylist([], schema=schema)]
    total = sum(batch.num_rows for batch in batches)
    runs: list[list[pa.RecordBatch]] = [[] for _ in range(min(partitions, len(batches)))]
    seen = 0
    for batch in batches:
        runs[min(seen * len(runs) // max(total, 1), len(runs) - 1)].append(batch)
        seen += batch.num_rows
    holder = SessionContext()
    holder.register_record_batches("held", [run for run in runs if run])
    return holder.catalog("datafusion").schema("public").table("held")


def scanned_table(held: CachedTable, batches: list[pa.RecordBatch], bucket: Bucket) -> Table:
    """Return a table over Parquet files where they lie, and the segments beside them.

    It is made in a context of its own, which may run DDL and which no query reaches; a query
    sees a view, whose filters prune files and row groups.
    """
    holder = SessionContext()
    bucket.register(holder)
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in held.schema.names)
    parts = []
    for number, urls in enumerate(held.scanned):
        quoted = ", ".join("'" + url.replace("'", "''") + "'" for url in urls)
        # Plans show this name, and so say which table was scanned.
        parts.append('"' + f"{number} {held.name}".replace('"', '""') + '"')
        holder.sql(f"CREATE EXTERNAL TABLE {parts[-1]} STORED AS PARQUET LOCATION ({quoted})")
    if batches:
        parts.append("held")
        holder.register_record_batches("held", [batches])
    selects = [f"SELECT {columns} FROM {part}" for part in parts]  # noqa: S608 - quoted
    return Table(holder.sql(" UNION ALL ".join(selects)))


def _open_outside(open_table: Callable[[], Table]) -> Table:
    """Open a table in a thread of its own.

    DataFusion looks tables up from inside its runtime, where it cannot be asked for another one.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(open_table).result()
