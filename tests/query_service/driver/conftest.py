"""Fixtures of the driver's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lavra_driver

sys.path.insert(0, str(Path(__file__).parent))

from toy_service import ToyService, running


@pytest.fixture
def service() -> Iterator[ToyService]:
    """A running stand-in for the service."""
    with running() as toy:
        yield toy


@pytest.fixture
def connection(service: ToyService) -> Iterator[lavra_driver.Connection]:
    """A connection to it."""
    opened = lavra_driver.connect("127.0.0.1", service.port)
    yield opened
    if not opened.closed:
        opened.close()
