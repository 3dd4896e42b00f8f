"""How a stream's columns changed from one sync to the next, in the words that people see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lavra.landing.manifest import Column


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
