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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from lavra.errors import Forbidden
from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import open_segment, write_segment

if TYPE_CHECKING:
    from lavra.access.policy import MaskKind
    from lavra.access.rights import Rights, TableRights

BLOCK = 64
"""Bytes of SHA-256's block, for HMAC."""


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


class RestrictedWriter:
    """Writes restricted releases below a folder.

    Args:
        folder: Where the copies are.
        key: The secret of the mask ``hash``.
        make_room: Told how many bytes are about to be added, before they are; raises when there
            is no room.
    """

    def __init__(self, folder: Path, key: HashKey, make_room: Callable[[int], None]) -> None:
        self._folder = folder
        self._key = key
        self._make_room = make_room

    def write(self, path: Path, tables: list[CachedTable], rights: Rights) -> list[CachedTable]:
        """Write a restricted release to ``path`` and return its tables.

        Raises:
            Forbidden: a rule cannot be applied to a table's values; nothing is shown then.
            ResourcesExhausted: there is no room for the copies.
        """
        restricted = [
            self._table(table, rights.tables[table.name])
            for table in tables
            if table.name in rights.tables
        ]
        write_release_file(path, restricted)
        return restricted

    def _table(self, table: CachedTable, rights: TableRights) -> CachedTable:
        schema = _schema(table.schema, rights.masks, [name for name, _ in rights.columns])
        if rights.is_empty:
            return replace(table, schema=schema, segments=(), bytes=0, row_count=0)
        if not rights.filters and not rights.masks:
            return replace(table, schema=schema)
        segments, size, rows = [], 0, 0
        for segment in table.segments:
            path = self._segment(Path(segment), schema, rights)
            count = sum(batch.num_rows for batch in open_segment(path)[1])
            if count:
                segments.append(str(path))
                size += path.stat().st_size
                rows += count
        return replace(table, schema=schema, segments=tuple(segments), bytes=size, row_count=rows)

    def _segment(self, original: Path, schema: pa.Schema, rights: TableRights) -> Path:
        """Return the segment's copy, or the segment itself where nothing of it is hidden."""
        identity = json.dumps([original.stem, str(schema), rights.digest, self._key.digest])
        digest = hashlib.sha256(identity.encode()).hexdigest()[:40]
        path = self._folder / "segments" / digest[:2] / f"{digest}.seg"
        if path.exists():
            return path
        whole, batches = open_segment(original)
        rows = pa.Table.from_batches(batches, whole)
        keep, masked = self._evaluate(rows, rights)
        if not rights.masks and keep is not None and keep.true_count == rows.num_rows:
            return original
        self._make_room(original.stat().st_size)
        write_segment(path, schema, _copies(batches, schema, keep, masked))
        return path

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
            name: _mask_sql(name, rows.schema.field(name).type, mask)
            for name, mask in masks.items()
        }
        if "hash" in masks.values():
            values |= self._key.pads
        columns = [f"({' and '.join(kept) or 'true'}) as keep"]
        columns += [f"{sql} as {_quoted(f'mask_{i}')}" for i, sql in enumerate(computed.values())]
        statement = f"select {', '.join(columns)} from lavra_rows"  # noqa: S608 - the policy's own
        try:
            with _session() as duck:
                duck.register("lavra_rows", rows)
                result = duck.execute(statement, values).to_arrow_table()
        except duckdb.Error as error:
            # The message may hold a value of a hidden row, so it goes nowhere.
            raise Forbidden(
                f"A rule of the access policy cannot be applied to {rights.name}.",
                remedy="`lavra access lint` and `lavra access test` find out why.",
            ) from _without_values(error)
        keep = result.column("keep").combine_chunks() if kept else None
        return keep, {name: result.column(i) for i, name in enumerate(computed, start=1)}


def _session() -> duckdb.DuckDBPyConnection:
    """Return a DuckDB that reaches nothing but what is registered with it."""
    return duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
            "lock_configuration": "true",
            "preserve_insertion_order": "true",
            "disabled_optimizers": "filter_pushdown",
            "TimeZone": "UTC",
            "threads": "2",
        },
    )


def _without_values(error: duckdb.Error) -> Exception:
    return RuntimeError(f"DuckDB raised {type(error).__name__}")


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


def _mask_sql(name: str, kind: pa.DataType, mask: MaskKind) -> str:
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
            return "null"


def _copies(
    batches: list[pa.RecordBatch],
    schema: pa.Schema,
    keep: pa.BooleanArray | None,
    masked: dict[str, pa.ChunkedArray],
) -> Iterator[pa.RecordBatch]:
    at = 0
    for batch in batches:
        chosen = None if keep is None else keep.slice(at, batch.num_rows)
        arrays = []
        for field in schema:
            if field.name in masked:
                values = masked[field.name].slice(at, batch.num_rows).combine_chunks()
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
