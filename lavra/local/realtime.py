"""What `lavra up --realtime` adds: the streams, and what makes their sources change."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from lavra.errors import ConfigurationError
from lavra.landing.references import unset
from lavra.streams.declarations import STREAMS, load_streams

if TYPE_CHECKING:
    from lavra.settings import Settings

DEFAULT_RATE = 1.0
"""Events a second, unless the option or the setting ``generator_rate`` says otherwise."""


def streamed_workloads(settings: Settings) -> tuple[str, ...]:
    """Return the shipped workloads that stand in for the sources of the project's streams.

    Raises:
        ConfigurationError: the project declares no stream, or one is wrong.
    """
    streams = load_streams(settings.project)
    if not streams:
        raise ConfigurationError(
            f"There is no stream in {settings.project / STREAMS}, so --realtime has nothing to "
            "follow.",
            remedy="docs/streams.md shows how to write one.",
        )
    found = {
        s.source.workload for s in streams if unset(config := s.source.given_config()) or not config
    }
    return tuple(sorted(name for name in found if name))


def has_generator(workload: str) -> bool:
    """Whether a workload has a service that makes its source change."""
    return find_spec(f"lavra.workloads.{workload}.server") is not None
