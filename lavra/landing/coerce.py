"""Text to typed columns, in batches; what does not fit becomes null and is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lavra.landing import types
from lavra.landing.bronze_writer import Change
from lavra.landing.inference import quoted
from lavra.landing.types import LandedType


class Coercer:
    """Turns batches of text columns into typed ones; a context manager.

    Args:
        kinds: The type of each column, by name.
        null_values: Texts that mean null in a column that is not text.
    """

    def __init__(self, kinds: Mapping[str, LandedType], null_values: Sequence[str] = ()) -> None:
        self._kinds = dict(kinds)
        self._null_values = pa.array(sorted({"", *null_values}), pa.string())
        self.schema = pa.schema([(name, kind.arrow) for name, kind in self._kinds.items()])
        self._connection = duckdb.connect(config={"threads": "2"})
        self._connection.execute("set TimeZone = 'UTC'")
        self._select = ", ".join(
            f"{kind.sql_from_text(quoted(name))} as {quoted(name)}"
            for name, kind in self._kinds.items()
        )

    def __enter__(self) -> Coercer:
        return self

    def __exit__(self, *_: Any) -> None:
        self._connection.close()

    def __call__(self, text: pa.Table) -> tuple[pa.Table, dict[int, list[Change]]]:
        """Return the typed batch, and the changes by row."""
        self._connection.register("batch", text)
        typed = self._connection.execute(f"select {self._select} from batch").to_arrow_table()
        self._connection.unregister("batch")
        typed = typed.cast(self.schema)
        changes: dict[int, list[Change]] = {}
        for name, kind in self._kinds.items():
            if kind.name == types.STRING:
                continue
            before, after = text.column(name), typed.column(name)
            if before.null_count == after.null_count:
                continue
            lost = pc.and_(pc.is_valid(before), pc.is_null(after))
            null_text = pc.is_in(pc.utf8_trim_whitespace(before), value_set=self._null_values)
            lost = pc.and_(lost, pc.invert(null_text))
            for row in pc.indices_nonzero(lost).to_pylist():
                changes.setdefault(row, []).append(Change(name))
        return typed, changes
