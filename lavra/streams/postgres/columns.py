"""Collects a table's changes column by column, and turns whole columns into types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.extensions import STRINGARRAY

from lavra.landing import types
from lavra.landing.coerce import Coercer
from lavra.landing.types import LandedType
from lavra.streams.postgres.pgoutput import UNCHANGED, Value
from lavra.streams.postgres.tuples import encode_row, split_columns
from lavra.streams.source import SOURCE_META, Quarantined, TableChanges, Unchanged

_NUMERIC, _BOOLEAN = "N", "B"

ROW_AT = 6
"""Where the row starts in an insert, a delete, and an update without the row before."""


@dataclass(frozen=True)
class Column:
    """A column of a followed table; ``elements`` is the category of an array's elements."""

    name: str
    kind: LandedType
    elements: str | None = None


class TableBuffer:
    """Changes of one table under one definition of it, as they arrive.

    Rows stay as they are on the wire until :meth:`finish` takes all of them apart at once.

    Args:
        namespace: The table's schema at the source.
        table: Its name in the landing schema.
        columns: In the order in which values arrive.
        key: Names of the columns that identify a row.
        generation: Of the load that the rows belong to.
    """

    def __init__(
        self,
        namespace: str,
        table: str,
        columns: Sequence[Column],
        key: tuple[str, ...],
        generation: int,
    ) -> None:
        self.namespace, self.table, self.columns, self.key = namespace, table, columns, key
        self.generation = generation
        self.key_places = [i for i, column in enumerate(columns) if column.name in key]
        self.messages: list[bytes] = []
        self.lsns: list[int] = []
        self.commits_us: list[int] = []
        self.sequences: list[int] = []
        self._starts: dict[int, int] = {}
        self._deleted: list[int] = []
        self._priors: dict[int, list[Value]] = {}

    def add(self, message: bytes, lsn: int, commit_us: int, sequence: int) -> None:
        """Add a change whose row starts at :data:`ROW_AT` of its message."""
        self.messages.append(message)
        self.lsns.append(lsn)
        self.commits_us.append(commit_us)
        self.sequences.append(sequence)

    def add_delete(self, message: bytes, lsn: int, commit_us: int, sequence: int) -> None:
        """Add the row that a delete holds, as :meth:`add` does."""
        self._deleted.append(len(self.messages))
        self.add(message, lsn, commit_us, sequence)

    def add_empty(self, lsn: int, commit_us: int, sequence: int) -> None:
        """Add a delete without a key: the table was emptied."""
        nothing = encode_row([None] * len(self.columns))
        self._starts[len(self.messages)] = 0
        self.add_delete(nothing, lsn, commit_us, sequence)

    def add_update(
        self, new: list[Value], prior: list[Value], lsn: int, commit_us: int, sequence: int
    ) -> None:
        """Add an update that came with the row before, which may hold what did not change."""
        if UNCHANGED in new:
            new = [
                before if value is UNCHANGED and isinstance(before, bytes) else value
                for value, before in zip(new, prior, strict=True)
            ]
            if prior[self.key_places[0]] is not None:
                self._priors[len(self.messages)] = prior
        self._starts[len(self.messages)] = 0
        self.add(encode_row(new), lsn, commit_us, sequence)

    def finish(self) -> tuple[TableChanges, list[Quarantined]]:
        """Return the rows as typed columns, and those that do not fit."""
        starts = [ROW_AT] * len(self.messages)
        for row, start in self._starts.items():
            starts[row] = start
        values, left_out = split_columns(self.messages, starts, len(self.columns))
        texts = {
            column.name: _text(array, column)
            for column, array in zip(self.columns, values, strict=True)
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
        missing: dict[int, list[str]] = {}
        for row, column in left_out:
            missing.setdefault(row, []).append(self.columns[column].name)
        unchanged = [
            Unchanged(row, tuple(names), self._key_before(row, typed))
            for row, names in missing.items()
        ]
        quarantined = []
        if misfits:
            kept = [row for row in range(rows.num_rows) if row not in misfits]
            place = {row: i for i, row in enumerate(kept)}
            quarantined = [
                Quarantined(
                    self.table,
                    self.sequences[row],
                    f"does not fit: {', '.join(fields)}",
                    {name: texts[name][row].as_py() for name in texts},
                )
                for row, fields in sorted(misfits.items())
            ]
            rows = rows.take(pa.array(kept, pa.int64()))
            unchanged = [
                Unchanged(place[u.row], u.columns, u.prior_key) for u in unchanged if u.row in place
            ]
        landed = TableChanges(self.namespace, self.table, self.key, rows, tuple(unchanged))
        return landed, quarantined

    def _with_meta(self, typed: list[pa.Array]) -> pa.RecordBatch:
        names = [column.name for column in self.columns]
        committed = np.array(self.commits_us, np.int64)
        is_live = np.ones(len(committed), np.bool_)
        is_live[self._deleted] = False
        columns = (
            np.full(len(committed), self.generation, np.int64),
            np.array(self.lsns, np.int64),
            committed,
            pa.array(committed, mask=is_live),
            np.array(self.sequences, np.int64),
        )
        meta = [
            pa.array(values, pa.int64()).cast(field.type)
            for values, field in zip(columns, SOURCE_META, strict=True)
        ]
        return pa.RecordBatch.from_arrays([*typed, *meta], names=names + SOURCE_META.names)

    def _key_before(self, row: int, typed: list[pa.Array]) -> tuple[Any, ...]:
        """Return the key under which the version before a row is found."""
        prior = self._priors.get(row)
        found = {}
        for place in self.key_places:
            column = self.columns[place]
            if prior is None:
                found[column.name] = typed[place][row].as_py()
            else:
                text = _text(pa.array([prior[place]], pa.binary()), column)
                found[column.name] = _typed(text, column.kind)[0].as_py()
        return tuple(found[name] for name in self.key)


def _text(values: pa.Array, column: Column) -> pa.Array:
    # A NUL byte cannot be in a Postgres text, and its text is UTF-8: the cast only checks it.
    text = values.cast(pa.string())
    if column.elements is None:
        return text
    lists = [None if v is None else _json_array(v, column.elements) for v in text.to_pylist()]
    return pa.array(lists, pa.string())


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
