"""Collects a table's changes column by column, and turns whole columns into types."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.extensions import STRINGARRAY

from lavra.landing import types
from lavra.landing.coerce import Coercer
from lavra.landing.types import LandedType
from lavra.streams.postgres.pgoutput import UNCHANGED, Value
from lavra.streams.source import SOURCE_META, Quarantined, TableChanges, Unchanged

_NUMERIC, _BOOLEAN = "N", "B"


@dataclass(frozen=True)
class Column:
    """A column of a followed table; ``elements`` is the category of an array's elements."""

    name: str
    kind: LandedType
    elements: str | None = None


class TableBuffer:
    """Changes of one table under one definition of it, as they arrive.

    Args:
        namespace: The table's schema at the source.
        table: Its name in the landing schema.
        columns: In the order in which values arrive.
        key: Names of the columns that identify a row.
    """

    def __init__(
        self, namespace: str, table: str, columns: Sequence[Column], key: tuple[str, ...]
    ) -> None:
        self.namespace, self.table, self.columns, self.key = namespace, table, columns, key
        self.key_places = [i for i, column in enumerate(columns) if column.name in key]
        self.meta: list[tuple[int, int, int, int | None, int]] = []
        self._values: list[list[Any]] = [[] for _ in columns]
        self._append: list[Callable[[Any], None]] = [values.append for values in self._values]
        self._unchanged: list[tuple[int, tuple[str, ...], list[Value]]] = []
        self.schema_changes: tuple[str, ...] = ()

    def add(
        self,
        values: Sequence[Value],
        meta: tuple[int, int, int, int | None, int],
        prior: Sequence[Value] | None = None,
    ) -> None:
        """Add a row.

        Args:
            values: One for each column.
            meta: Values of :data:`lavra.streams.source.SOURCE_META`.
            prior: The row before, if it came too: it may hold what did not change.
        """
        if UNCHANGED in values:
            values = self._note_unchanged(list(values), prior)
        for append, value in zip(self._append, values, strict=True):
            append(value)
        self.meta.append(meta)

    def _note_unchanged(self, values: list[Value], prior: Sequence[Value] | None) -> list[Value]:
        missing = []
        for place, value in enumerate(values):
            if value is UNCHANGED:
                before = prior[place] if prior else None
                values[place] = before if isinstance(before, bytes) else None
                if not isinstance(before, bytes):
                    missing.append(self.columns[place].name)
        if missing:
            keyed = prior if prior and prior[self.key_places[0]] is not None else values
            self._unchanged.append((len(self.meta), tuple(missing), list(keyed)))
        return values

    def finish(self) -> tuple[TableChanges, list[Quarantined]]:
        """Return the rows as typed columns, and those that do not fit."""
        texts = {
            column.name: _text(values, column)
            for column, values in zip(self.columns, self._values, strict=True)
        }
        misfits: dict[int, list[str]] = {}
        try:
            typed = [_typed(texts[column.name], column.kind) for column in self.columns]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            # Some value has no place in its type (infinity, NaN, a year before Christ): find it.
            with Coercer({column.name: column.kind for column in self.columns}) as coerce:
                table, changes = coerce(pa.table(texts))
            typed = [
                _typed(texts[column.name], column.kind)  # hexadecimal: the coercer knows text only
                if column.kind.name == types.BINARY
                else table.column(column.name).combine_chunks()
                for column in self.columns
            ]
            misfits = {row: [c.field for c in each] for row, each in changes.items()}
        rows = self._with_meta(typed)
        unchanged = [
            Unchanged(row, columns, self._key_of(prior)) for row, columns, prior in self._unchanged
        ]
        quarantined = []
        if misfits:
            kept = [row for row in range(rows.num_rows) if row not in misfits]
            place = {row: i for i, row in enumerate(kept)}
            quarantined = [
                Quarantined(
                    self.table,
                    self.meta[row][-1],
                    f"does not fit: {', '.join(fields)}",
                    {name: texts[name][row].as_py() for name in texts},
                )
                for row, fields in sorted(misfits.items())
            ]
            rows = rows.take(pa.array(kept, pa.int64()))
            unchanged = [
                Unchanged(place[u.row], u.columns, u.prior_key) for u in unchanged if u.row in place
            ]
        return (
            TableChanges(
                self.namespace, self.table, self.key, rows, tuple(unchanged), self.schema_changes
            ),
            quarantined,
        )

    def _with_meta(self, typed: list[pa.Array]) -> pa.RecordBatch:
        names = [column.name for column in self.columns]
        meta = [
            pa.array(values, pa.int64()).cast(field.type)
            for values, field in zip(zip(*self.meta, strict=True), SOURCE_META, strict=True)
        ]
        return pa.RecordBatch.from_arrays([*typed, *meta], names=names + SOURCE_META.names)

    def _key_of(self, values: Sequence[Value]) -> tuple[Any, ...]:
        found = {}
        for place in self.key_places:
            column = self.columns[place]
            found[column.name] = _typed(_text([values[place]], column), column.kind)[0].as_py()
        return tuple(found[name] for name in self.key)


def _text(values: list[Any], column: Column) -> pa.Array:
    if column.elements is not None:
        values = [None if v is None else _json_array(v.decode(), column.elements) for v in values]
        return pa.array(values, pa.string())
    # A NUL byte cannot be in a Postgres text, and its text is UTF-8: the cast only checks it.
    return pa.array(values, pa.binary()).cast(pa.string())


def _typed(text: pa.Array, kind: LandedType) -> pa.Array:
    if kind.name in {types.STRING, types.JSON}:
        return text
    if kind.name == types.BOOLEAN:
        return pc.equal(text, "t")
    if kind.name == types.BINARY:
        values = [None if v is None else bytes.fromhex(v[2:]) for v in text.to_pylist()]
        return pa.array(values, pa.binary())
    if kind.name == types.TIME:
        return (
            pc.binary_join_element_wise("1970-01-01", text, " ")
            .cast(pa.timestamp("us"))
            .cast(kind.arrow)
        )
    return text.cast(kind.arrow)


def _json_array(text: str, elements: str) -> str:
    """Return an array as Postgres writes it as JSON, just as ``to_json`` would."""
    if text.startswith("["):  # bounds other than 1: "[0:1]={1,2}"
        text = text.split("=", 1)[1]
    return json.dumps(
        _elements(STRINGARRAY(text, None), elements), separators=(",", ":"), ensure_ascii=False
    )


def _elements(value: Any, elements: str) -> Any:
    if isinstance(value, list):
        return [_elements(inner, elements) for inner in value]
    if value is None:
        return None
    if elements == _BOOLEAN:
        return value == "t"
    if elements == _NUMERIC:
        try:
            return json.loads(value)
        except ValueError:  # NaN and infinity: to_json writes them as strings
            return value
    return value
