"""Checks connections without a source, a catalog or a network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lavra.errors import ConfigurationError
from lavra.landing.connections import CONNECTIONS, load_connection, load_connections


def lint(project: Path, names: Iterable[str] = ()) -> list[ConfigurationError]:
    """Return what is wrong with the project's connections, or with those named; empty is good."""
    folder = project / CONNECTIONS
    wanted = list(names) or [path.stem for path in sorted(folder.glob("*.y*ml"))]
    problems: list[ConfigurationError] = []
    for name in wanted:
        path = folder / f"{name}.yaml"
        if path.with_suffix(".yml").exists():
            problems.append(
                ConfigurationError(
                    f"{path.with_suffix('.yml')} is not read.", remedy=f"Rename it to {path.name}."
                )
            )
            continue
        try:
            load_connection(path)
        except ConfigurationError as error:
            problems.append(error)
    if not problems:
        try:
            load_connections(project, names)
        except ConfigurationError as error:
            problems.append(error)
    return problems
