"""What a change of a table's columns means for the rows that have landed."""

from __future__ import annotations

from lavra.streams.postgres.server import SourceColumn


def reason_to_load(
    known: dict[str, str],
    announced: dict[str, str],
    numbers: dict[str, list[int | str]],
    now: dict[str, SourceColumn],
) -> str | None:
    """Return why rows that are there may differ from what we hold, or None.

    Harmless are dropped columns alone, and new ones alone that were empty from the start.
    """
    if any(known[name] != kind for name, kind in announced.items() if name in known):
        return "a column has another type"
    if set(now) != set(announced):
        return "its columns changed again since"
    if any(now[name].number != number for name, (number, _) in numbers.items() if name in now):
        return "a column was dropped and made again, or renamed"
    added = announced.keys() - known.keys()
    if added and known.keys() - announced.keys():
        return "columns came and went, or were renamed"
    if any(now[name].has_default for name in added):
        return "a new column has a default"
    return None
