"""A step of `lavra up` as a program of its own: ``python -m lavra.local.task NAME``.

A program can be stopped at any moment, its group included; a call in a thread cannot.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable

from lavra.errors import LavraError
from lavra.settings import Settings, load_settings


def _superset_environment(settings: Settings) -> None:
    importlib.import_module("lavra.dashboards.superset").ensure_environment(settings)


def _superset_bootstrap(settings: Settings) -> None:
    importlib.import_module("lavra.dashboards.superset").bootstrap(settings)


TASKS: dict[str, Callable[[Settings], None]] = {
    "superset-bootstrap": _superset_bootstrap,
    "superset-environment": _superset_environment,
}


def main(name: str) -> int:
    """Run one task with the settings of the environment; return the exit status."""
    try:
        TASKS[name](load_settings())
    except LavraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
