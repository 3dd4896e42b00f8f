"""Which columns a planned statement reads, for the record of who read what."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SCAN = re.compile(
    r"^\s*TableScan: (?P<table>.+?)(?: projection=\[(?P<columns>.*?)\])?"
    r"(?:, (?:full|partial|unsupported)_filters=.*|, fetch=\d+)?$",
    re.MULTILINE,
)


def columns_read(plan: str, tables: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the columns that an optimized plan scans, as "schema.table.column", sorted.

    The plan's text is read because subqueries in expressions are nowhere else: DataFusion's
    Python plans do not hand them out. A caller whose literal looks like a line of a plan can
    make the record say more than was read, of tables that the statement names; never less.

    Args:
        plan: As ``LogicalPlan.display_indent`` writes it.
        tables: The columns of each table that the statement names, by "schema.table".
    """
    found: set[str] = set()
    for scan in _SCAN.finditer(plan):
        # A scan of files is named "number schema.table", a table in memory "schema.table".
        table = re.sub(r"^(?:lake\.|\d+ )", "", scan["table"])
        names = tables.get(table)
        if names is None:
            continue
        listed = scan["columns"]
        if listed is None:
            read: set[str] = set(names)
        else:
            read = set(listed.split(", ")) if listed else set()
            if any(", " in name or "]" in name for name in names):  # rather too many than too few
                read = {name for name in names if name in scan[0]}
        found |= {f"{table}.{name}" for name in read}
    return tuple(sorted(found))
