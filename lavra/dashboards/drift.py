"""What somebody changed in Superset since the last import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lavra.catalog import open_catalog
from lavra.dashboards import superset
from lavra.dashboards.environment import SupersetEnvironment, ensure_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lavra.catalog import Catalog
    from lavra.settings import Settings

SHOWN = 60
"""Longest value that is printed whole, in characters."""


@dataclass(frozen=True)
class Change:
    """One changed field of one asset, as short texts; ``gone`` when the asset was deleted."""

    kind: str
    title: str
    field: str
    imported: str
    now: str


@dataclass(frozen=True)
class State:
    """Snapshots of Superset's assets by ``<kind> <uuid>``: right after the import, and now."""

    imported: dict[str, dict[str, Any]]
    now: dict[str, dict[str, Any]]
    assets_digest: str | None


def read_state(
    settings: Settings, environment: SupersetEnvironment | None = None,
    catalog: Catalog | None = None,
) -> State:  # fmt: skip
    """Ask Superset's metadata what it holds.

    Raises:
        ProcessError: Superset's process failed.
    """
    environment = environment or ensure_environment(settings)
    catalog = catalog or open_catalog(settings)
    found = superset.run_program(settings, environment, "inspect_assets.py", {}, catalog=catalog)
    return State(found["imported"], found["now"], found["assets_digest"])


def changes(state: State) -> list[Change]:
    """Return every difference between the import and now; empty right after an import."""
    found = []
    for key, before in state.imported.items():
        kind = key.split(" ", maxsplit=1)[0].removesuffix("s")
        after = state.now.get(key)
        if after is None:
            found.append(Change(kind, before["title"], "gone", "", ""))
            continue
        found += [
            Change(kind, before["title"], field, _short(old), _short(new))
            for field, old, new in _differences("", before, after)
        ]
    found += [
        Change("chart", after["title"], "new", "", "")
        for key, after in state.now.items()
        if key.startswith("new_charts ")
    ]
    return found


def _differences(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{path}.{name}" if path else name
            yield from _differences(inner, before.get(name), after.get(name))
    elif before != after and (before or after):
        yield path, before, after


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
