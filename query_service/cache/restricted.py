"""Restricted copies of a release: only the rows and columns that somebody may see.

The copies are made by the policy's own filters and masks, run by DuckDB on the release's
segments, before any caller's SQL exists. An engine that opens a restricted release has nothing
else, so no statement, however clever, reaches a hidden row or column or computes with one.

A segment of which all is visible is not copied: the restricted release names the original. So is
one of which only some columns are visible, since an engine takes the columns that the release
names. A copy's name is a hash of the segment, the rules and the values they were given: callers
with equal rights share it, and so do releases that share the segment.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from query_service.cache.cold import GROWTH
from query_service.cache.release_file import CachedTable, TableFacts, write_release_file
from query_service.cache.segments import open_segment, write_segment

if TYPE_CHECKING:
    from lavra.access.policy import MaskKind
    from lavra.access.rights import Rights, TableRights
    from lavra.storage import LakeStorage

logger = logging.getLogger("query_service")

BLOCK = 64
"""Bytes of SHA-256's block, for HMAC."""


class _RuleFails(Exception):
    """A filter or mask cannot be computed; its text names the kind of error."""


@dataclass(frozen=True)
class HashKey:
    """The secret of the mask ``hash``: HMAC-SHA256 with it."""

    secret: bytes

    @property
    def digest(self) -> str:
        """What tells keys apart without giving them away."""
        return hashlib.sha256(b"lavra mask key " + self.secret).hexdigest()[:16]

    @property
    def pads(self) -> dict[str, bytes]:
        """The inner and outer block of HMAC, as statements bind them."""
        block = self.secret if len(self.secret) <= BLOCK else hashlib.sha256(self.secret).digest()
        block = block.ljust(BLOCK, b"\0")
        return {
            "lavra_inner": bytes(byte ^ 0x36 for byte in block),
            "lavra_outer": bytes(byte ^ 0x5C for byte in block),
        }


@dataclass(frozen=True)
class _Source:
    """Rows of a table as the release holds them: what names them, their bytes, and the rows.

    ``read`` yields them in parts that fit into memory; ``segment`` is set when they are one.
    """

    identity: str
    bytes: int
    read: Callable[[], Iterator[pa.Table]]
    segment: Path | None = None


class RestrictedWriter:
    """Writes restricted releases below a folder.

    Args:
        folder: Where the copies are.
        key: The secret of the mask ``hash``.
        claim: Told the path of each copy before it is looked for, and how many bytes it may have
            if it must be written; raises when there is no room, and keeps the file from then on.
        storage: The lake's files, for tables that are scanned where they lie; local, if not given.
    """

    def __init__(
        self,
        folder: Path,
        key: HashKey,
        claim: Callable[[Path, int], None],
        storage: LakeStorage | None = None,
    ) -> None:
        self._storage = storage
        self._folder = folder
        self._key = key
        self._claim = claim
        self._duck = _session()

    def write(self, path: Path, tables: list[CachedTable], rights: Rights) -> list[CachedTable]:
        """Write a restricted release to ``path`` and return its tables.

        A table to whose values a rule cannot be applied is left out, and the log says so.

        Raises:
            ResourcesExhausted: there is no room for the copies.
        """
        restricted = []
        for table in tables:
            if table.name not in rights.tables:
                continue
            try:
                restricted.append(self._table(table, rights.tables[table.name]))
            except _RuleFails as error:
                # Without the reason's text: it may hold a value of a hidden row.
                logger.error(  # noqa: TRY400
                    "an access rule of %s fails on its values (%s): the table is hidden",
                    table.name, error,
                )  # fmt: skip
        write_release_file(path, restricted)
        return restricted

    def _table(self, table: CachedTable, rights: TableRights) -> CachedTable:
        schema = _schema(table.schema, rights.masks, [name for name, _ in rights.columns])
        if rights.is_empty:
            return replace(
                table,
                schema=schema,
                segments=(),
                bytes=0,
                row_count=0,
                facts=_facts(table),
                scanned=(),
            )
        if not rights.filters and not rights.masks:
            return replace(table, schema=schema)
        segments, size, count = [], 0, 0
        for source in self._sources(table):
            path = self._copy(source, schema, rights)
            rows = sum(batch.num_rows for batch in open_segment(path).batches)
            if rows:
                segments.append(str(path))
                size += path.stat().st_size
                count += rows
        return replace(
            table,
            schema=schema,
            segments=tuple(segments),
            bytes=size,
            row_count=count,
            facts=_facts(table) if rights.filters else table.facts,
            scanned=(),
        )

    def _sources(self, table: CachedTable) -> Iterator[_Source]:
        for segment in table.segments:
            path = Path(segment)
            yield _Source(path.stem, path.stat().st_size, partial(_of_segment, path), path)
        for url in chain.from_iterable(table.scanned):
            plain = unquote(url).partition("://")[2]
            files = pafs.LocalFileSystem() if self._storage is None else self._storage.to_pyarrow()
            size = int(files.get_file_info(plain).size * GROWTH)
            yield _Source(url, size, partial(_of_parquet, files, plain, table.schema))

    def _copy(self, source: _Source, schema: pa.Schema, rights: TableRights) -> Path:
        """Return the segment of what is visible of some rows.

        It is the release's own segment where nothing of that is hidden.
        """
        identity = json.dumps([source.identity, str(schema), rights.digest, self._key.digest])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
        path = self._folder / "segments" / digest[:2] / f"{digest}.seg"
        if path.exists():
            self._claim(path, 0)
        if path.exists():
            return path
        if source.segment and not rights.masks:
            rows = next(source.read())
            keep, _ = self._evaluate(rows, rights)
            if keep is not None and keep.true_count == rows.num_rows:
                return source.segment
        hashed = sum(mask == "hash" for mask in rights.masks.values())
        # A hash is wider than most of what it stands for.
        self._claim(path, source.bytes * (2 if hashed else 1))
        write_segment(path, schema, self._shown(source, schema, rights))
        return path

    def _shown(
        self, source: _Source, schema: pa.Schema, rights: TableRights
    ) -> Iterator[pa.RecordBatch]:
        for rows in source.read():
            keep, masked = self._evaluate(rows, rights)
            emptied = rights.masks.keys() - masked
            yield from _copies(rows.to_batches(), schema, keep, masked, emptied)

    def _evaluate(
        self, rows: pa.Table, rights: TableRights
    ) -> tuple[pa.BooleanArray | None, dict[str, pa.ChunkedArray]]:
        """Return which rows are visible (None: all) and the masked columns' values."""
        kept = [f"coalesce((\n{rule.sql}\n), false)" for rule in rights.filters]
        values: dict[str, object] = {}
        for rule in rights.filters:
            values |= dict(rule.values)
        masks = rights.masks
        computed = {
            name: sql
            for name, mask in masks.items()
            if (sql := _mask_sql(name, rows.schema.field(name).type, mask))
        }
        if "hash" in masks.values():
            values |= self._key.pads
        columns = [f"({' and '.join(kept) or 'true'}) as keep"]
        columns += [f"{sql} as {_quoted(f'mask_{i}')}" for i, sql in enumerate(computed.values())]
        statement = f"select {', '.join(columns)} from lavra_rows"  # noqa: S608 - the policy's own
        try:
            self._duck.register("lavra_rows", rows)
            result = self._duck.execute(statement, values).to_arrow_table()
        except (duckdb.Error, pa.ArrowException) as error:
            # Its text stays here: it may hold a value of a hidden row.
            raise _RuleFails(type(error).__name__) from None
        keep = result.column("keep").combine_chunks() if kept else None
        return keep, {name: result.column(i) for i, name in enumerate(computed, start=1)}


def _of_segment(path: Path) -> Iterator[pa.Table]:
    segment = open_segment(path)
    yield pa.Table.from_batches(segment.batches, segment.schema)


def _of_parquet(files: pafs.FileSystem, path: str, schema: pa.Schema) -> Iterator[pa.Table]:
    with files.open_input_file(path) as stream:
        file = pq.ParquetFile(stream)
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, schema.names).select(schema.names).cast(schema)


def _session() -> duckdb.DuckDBPyConnection:
    """Return a DuckDB that reaches nothing but what is registered with it."""
    duck = duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "preserve_insertion_order": "true",
            "threads": "2",
        },
    )
    duck.execute("set TimeZone = 'UTC'")
    duck.execute("set disabled_optimizers = 'filter_pushdown'")
    duck.execute("set lock_configuration = true")
    return duck


def _facts(table: CachedTable) -> TableFacts:
    """Return what may be said of a table with hidden rows: its audits saw those too."""
    return replace(table.facts, audits_passed=0, failed_audits=())


def _schema(schema: pa.Schema, masks: Mapping[str, MaskKind], visible: list[str]) -> pa.Schema:
    fields = []
    for name in visible:
        field = schema.field(name)
        mask = masks.get(name)
        if mask in {"hash", "last_four"}:
            field = pa.field(name, pa.string_view(), nullable=True)
        elif mask:
            field = field.with_nullable(True)
        fields.append(field)
    return pa.schema(fields)


def _mask_sql(name: str, kind: pa.DataType, mask: MaskKind) -> str | None:
    """Return the expression of a mask; None where it leaves no values at all."""
    column = _quoted(name)
    text = f"cast({column} as varchar)"
    match mask:
        case "hash":
            inner = f"unhex(sha256($lavra_inner::blob || encode({text})))"
            return f"sha256($lavra_outer::blob || {inner})"
        case "last_four":
            return (
                f"case when length({text}) > 4 then '****' || right({text}, 4) "
                f"when {column} is not null then '****' end"
            )
        case "month" if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            return f"date_trunc('month', {column})"
        case _:
            return None


def _copies(
    batches: list[pa.RecordBatch],
    schema: pa.Schema,
    keep: pa.BooleanArray | None,
    masked: dict[str, pa.ChunkedArray],
    emptied: set[str],
) -> Iterator[pa.RecordBatch]:
    at = 0
    for batch in batches:
        chosen = None if keep is None else keep.slice(at, batch.num_rows)
        arrays = []
        for field in schema:
            if field.name in masked:
                values = masked[field.name].slice(at, batch.num_rows).combine_chunks()
            elif field.name in emptied:
                values = pa.nulls(batch.num_rows, field.type)
            else:
                values = batch.column(field.name)
            values = _plain(values)
            values = values if chosen is None else values.filter(chosen)
            arrays.append(values if values.type == field.type else values.cast(field.type))
        at += batch.num_rows
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(array: pa.Array) -> pa.Array:
    """Return an array of a type that can be filtered: no kernel of Arrow takes views."""
    if array.type == pa.string_view():
        return array.cast(pa.string())
    if array.type == pa.binary_view():
        return array.cast(pa.binary())
    return array


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
