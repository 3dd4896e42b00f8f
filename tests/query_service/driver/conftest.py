"""Fixtures of the driver's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lavra_driver

sys.path.insert(0, str(Path(__file__).parent))

from toy_service import ToyService, running

from tests.query_service.conftest import close_lake, make_lake, serving

collect_ignore = ["sqlalchemy_suite"]
"""SQLAlchemy's plugin takes over what runs beside it: its suite has processes of its own."""


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


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lavra_driver.Connection]:
    """A connection to the service itself, over one small table and one of 100,000 rows."""
    lake = make_lake(tmp_path_factory.mktemp("driver") / "lake")
    lake.duck.execute("""
        create table lake.gold_test.orders as select 1::bigint as id, 'São Paulo' as city,
            12.50::decimal(18, 2) as amount, timestamp '2024-01-31 10:00:00' as ordered_at,
            date '2024-01-31' as day, null::double as nothing""")
    lake.duck.execute("create table lake.gold_test.many as select i as id from range(100000) t(i)")
    lake.release()
    with serving(lake.settings) as service:
        assert service.base_url.port
        with lavra_driver.connect("127.0.0.1", service.base_url.port) as opened:
            yield opened
    close_lake(lake)


@pytest.fixture
def real_url(real: lavra_driver.Connection) -> str:
    """The same as a URL of SQLAlchemy's."""
    return real.transport.endpoint.url.replace("http", "lavra", 1) + "/prod"
