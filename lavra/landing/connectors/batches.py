"""Lines of Airbyte's protocol to typed columns, in batches.

DuckDB parses the JSON of a batch at once and casts its values in the same query. A batch in which
a value has no place in its type is cast again, carefully, to find the value; it lands as null and
the row's changes say so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lavra.errors import SourceError
from lavra.landing import types
from lavra.landing.bronze_writer import Change
from lavra.landing.inference import quoted
from lavra.landing.reading import Batch
from lavra.landing.types import LandedType

_META = "_lavra_meta"
_LOST = "_lavra_lost"


class RecordParser:
    """Turns the RECORD lines of one stream into batches; a context manager.

    Args:
        kinds: The type of each column, by name.
        known: Every property that the source declares, landed or not.

    Attributes:
        undeclared: How many records had a value in a property that the source does not declare.
    """

    def __init__(self, kinds: Mapping[str, LandedType], known: Sequence[str]) -> None:
        self._kinds = dict(kinds)
        self.schema = pa.schema([(name, kind.arrow) for name, kind in self._kinds.items()])
        self.undeclared: Counter[str] = Counter()
        self._known = {*known, *kinds}
        self._connection = duckdb.connect(config={"threads": "2"})
        self._connection.execute("set TimeZone = 'UTC'")
        shape = json.dumps({
            "record": {
                "data": {
                    name: "JSON" if kind.name == types.JSON else "VARCHAR"
                    for name, kind in self._kinds.items()
                },
                "meta": "JSON",
            }
        })  # fmt: skip
        shape = shape.replace("'", "''")
        self._source = (
            f"(select unnest(t.record.data), t.record.meta as {_META} "
            f"from (select json_transform(line, '{shape}') as t from batch))"
        )
        self._fast, self._careful = self._queries()

    def __enter__(self) -> RecordParser:
        return self

    def __exit__(self, *_: Any) -> None:
        self._connection.close()

    def __call__(self, lines: list[bytes]) -> Batch:
        """Return a batch of the records of RECORD lines, in their order.

        Raises:
            SourceError: a line is no JSON.
        """
        try:
            return self.parse(pa.array(lines, pa.binary()).cast(pa.string()))
        except (pa.ArrowInvalid, duckdb.InvalidInputException, duckdb.ConversionException):
            # Not UTF-8, half a character, or NaN, which Python writes and JSON does not know.
            return self.parse(pa.array([_repaired(line) for line in lines], pa.string()))

    def parse(self, text: pa.Array | pa.ChunkedArray) -> Batch:
        """Return a batch of the records of RECORD lines that are known to be JSON."""
        self._connection.register("batch", pa.table({"line": text}))
        try:
            self._count_undeclared()
            table = self._connection.execute(self._fast).to_arrow_table()
            if pc.any(table.column(_LOST)).as_py():
                table = self._connection.execute(self._careful).to_arrow_table()
                changes = _lost(table)
            else:
                changes = {}
            for row, made in _told(table.column(_META)).items():
                changes.setdefault(row, []).extend(made)
            return table.drop_columns([_META, _LOST]).cast(self.schema), changes
        finally:
            self._connection.unregister("batch")

    def _queries(self) -> tuple[str, str]:
        fast, careful, any_lost, lost = [], [], [], []
        for name, kind in self._kinds.items():
            column = quoted(name)
            exact = kind.sql_from_text(column)
            if kind.name in {types.STRING, types.JSON}:
                fast.append(column)
                careful.append(column)
                continue
            quick, doubt = exact, "false"
            if kind.name == types.INTEGER:  # a fraction is for the careful query to judge
                quick = f"try_cast({column} as bigint)"
                doubt = f"contains({column}, '.') or contains(lower({column}), 'e')"
            fast.append(f"{quick} as {column}")
            careful.append(f"{exact} as {column}")
            given = f"{column} is not null and trim({column}) <> ''"
            any_lost.append(f"({given} and ({quick} is null or {doubt}))")
            label = name.replace("'", "''")
            lost.append(f"case when {given} and {exact} is null then '{label}' end")
        said = " or ".join(any_lost) or "false"
        names = f"list_filter([{', '.join(lost) or 'null'}]::varchar[], lambda v: v is not null)"
        return (
            f"select {', '.join(fast)}, {_META}, {said} as {_LOST} from {self._source}",
            f"select {', '.join(careful)}, {_META}, {names} as {_LOST} from {self._source}",
        )

    def _count_undeclared(self) -> None:
        counts = self._connection.execute(
            "select key, count(*) from "
            "(select unnest(json_keys(line, '$.record.data')) as key from batch) group by key"
        ).fetchall()
        self.undeclared.update({key: count for key, count in counts if key not in self._known})


def _lost(table: pa.Table) -> dict[int, list[Change]]:
    names = table.column(_LOST)
    rows = pc.indices_nonzero(pc.greater(pc.list_value_length(names), 0))
    found = names.take(rows).to_pylist()
    return {
        row: [Change(name) for name in lost]
        for row, lost in zip(rows.to_pylist(), found, strict=True)
    }


def _told(meta: pa.ChunkedArray) -> dict[int, list[Change]]:
    """Return what the connector itself says that it changed."""
    if meta.null_count == len(meta):
        return {}
    said: dict[int, list[Change]] = {}
    for row in pc.indices_nonzero(pc.is_valid(meta)).to_pylist():
        for change in (json.loads(meta[row].as_py()) or {}).get("changes") or ():
            said.setdefault(row, []).append(
                Change(*(str(change.get(key, "")) for key in ("field", "change", "reason")))
            )
    return said


def _repaired(line: bytes) -> str:
    try:
        record = json.loads(line.decode("utf-8", "replace"), parse_constant=str)
    except ValueError as error:
        raise SourceError(
            f"The connector wrote a record that is no JSON ({error}): {line[:200]!r}.",
            remedy="Run it again; if it stays, report it to the connector's authors.",
        ) from error
    text = json.dumps(record, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()
