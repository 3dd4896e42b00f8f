"""A step of `lavra up` as a program of its own: ``python -m lavra.local.task NAME``.

A program can be stopped at any moment, its group included; a call in a thread cannot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from lavra.errors import LavraError
from lavra.settings import Settings, load_settings


def _superset_environment(settings: Settings) -> None:
    from lavra.dashboards.environment import ensure_environment  # noqa: PLC0415

    ensure_environment(settings, report=print)


def _superset_bootstrap(settings: Settings) -> None:
    from lavra.dashboards.superset import bootstrap  # noqa: PLC0415

    outcome = bootstrap(settings, report=print)
    for name, seconds in outcome.timings_s.items():
        print(f"{name}: {seconds:.1f} s")


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
