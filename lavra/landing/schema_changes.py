"""How a stream's columns changed from one sync to the next, in the words that people see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lavra.errors import SourceError
from lavra.landing.manifest import Column

if TYPE_CHECKING:
    from lavra.landing.connections import Connection, Stream
    from lavra.landing.manifest import StreamState
    from lavra.landing.types import LandedType


def schema_changes(before: Sequence[Column], after: Sequence[Column]) -> list[dict[str, Any]]:
    """Return what is new, gone and retyped: ``column``, ``change``, ``from``, ``to``."""
    old = {column.name: column.type for column in before}
    new = {column.name: column.type for column in after}
    changes = [
        {"column": name, "change": "added", "from": None, "to": new[name]}
        for name in new
        if name not in old
    ]
    changes += [
        {"column": name, "change": "removed", "from": old[name], "to": None}
        for name in old
        if name not in new
    ]
    changes += [
        {"column": name, "change": "retyped", "from": old[name], "to": new[name]}
        for name in new
        if name in old and new[name] != old[name]
    ]
    return changes


def allowed_changes(
    connection: Connection, stream: Stream, columns: Mapping[str, LandedType], before: StreamState
) -> list[dict[str, Any]]:
    """Return how a stream's columns differ from those that landed before.

    Raises:
        SourceError: they do, and the connection's policy is to stop then.
    """
    if before.landed_at is None:
        return []
    after = [Column(name, str(kind)) for name, kind in columns.items()]
    changes = schema_changes(before.columns, after)
    if changes and connection.non_breaking_schema_updates_behavior == "disable_connection":
        said = ", ".join(f"{change['column']} {change['change']}" for change in changes)
        raise SourceError(
            f"The schema of {stream.name} changed: {said}.",
            remedy="Adapt the models, then set non_breaking_schema_updates_behavior to "
            "propagate_columns for one run.",
        )
    return changes


def ignored_columns(
    connection: Connection, columns: Iterable[str], before: StreamState
) -> set[str]:
    """Return the new columns that the connection's policy leaves out."""
    if connection.non_breaking_schema_updates_behavior != "ignore" or before.landed_at is None:
        return set()
    return set(columns) - {column.name for column in before.columns}


def change_text(change: Mapping[str, Any]) -> str:
    """Return a change in words: ``column price was integer, is number``."""
    said = {
        "added": f"is new ({change['to']})",
        "removed": "is gone",
        "retyped": f"was {change['from']}, is {change['to']}",
    }
    return f"column {change['column']} {said.get(change['change'], change['change'])}"
