"""Values that a source left out because they did not change, taken from what landed before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from lavra.streams.source import DELETED_AT, TableChanges

Newest = Callable[[TableChanges, pa.Table, tuple[str, ...]], pa.Table]
"""Returns the newest landed values of columns for keys, with the key."""


def fill_unchanged(changes: TableChanges, newest: Newest) -> pa.RecordBatch:
    """Return the rows with values that the source left out taken from the rows' last versions.

    The last version is an earlier row of the same batch, or else what landed before.
    """
    rows = changes.rows
    columns = tuple(dict.fromkeys(name for u in changes.unchanged for name in u.columns))
    schema = pa.schema([rows.schema.field(name) for name in changes.key])
    keys = pa.Table.from_pylist(
        [dict(zip(changes.key, u.prior_key, strict=True)) for u in changes.unchanged], schema
    )
    latest: dict[tuple[Any, ...], dict[str, Any]] = {
        tuple(row[k] for k in changes.key): row
        for row in newest(changes, keys, columns).to_pylist()
    }
    left_out = {u.row: u for u in changes.unchanged}
    wanted = {u.prior_key for u in changes.unchanged}
    values = {name: rows.column(name).to_pylist() for name in columns}
    row_keys = list(zip(*(rows.column(name).to_pylist() for name in changes.key), strict=True))
    # A row that only passes on its key (a key change) must be found again under the new key.
    wanted |= {row_keys[u.row] for u in changes.unchanged}
    for place, key in enumerate(row_keys):
        unchanged = left_out.get(place)
        if unchanged is not None:
            before = latest.get(unchanged.prior_key, {})
            for name in unchanged.columns:
                values[name][place] = before.get(name)
        if key in wanted:
            version = {name: values[name][place] for name in columns}
            deleted = rows.column(DELETED_AT)[place].is_valid
            if not deleted:
                latest[key] = version
    filled = {name: pa.array(v, rows.schema.field(name).type) for name, v in values.items()}
    arrays = [filled.get(name, rows.column(name)) for name in rows.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=rows.schema)
