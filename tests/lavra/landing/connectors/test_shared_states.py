"""Connectors that keep one state for all their streams: nothing is lost, nothing lands twice."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from lavra.catalog import Catalog
from lavra.landing.manifest import stream_state
from tests.lavra.landing.connectors.conftest import INCREMENTAL, ConnectorLander

KINDS = ("GLOBAL", "LEGACY", "OPAQUE")
LATER = [pytest.param(kind, marks=pytest.mark.soak) for kind in KINDS[1:]]
BOTH = [{"name": "things", **INCREMENTAL}, {"name": "also", **INCREMENTAL}]
ONCE = {"connector_attempts": 1}
OFTEN = {"connector_attempts": 3, "connector_checkpoint_s": 0.0}


def told(connectors: ConnectorLander) -> list[Any]:
    lines = (connectors.folder / "memory.states").read_text().splitlines()
    return [json.loads(line) for line in lines]


def ids(connectors: ConnectorLander) -> tuple[list[int], list[int]]:
    return connectors.ids("things"), connectors.ids("also")


def upto(count: int) -> tuple[list[int], list[int]]:
    return list(range(1, count + 1)), list(range(1, count + 1))


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_new_is_read_next_time(connectors: ConnectorLander, kind: str) -> None:
    for count in (5, 8):
        results = connectors.land_all({"states": kind, "count": count, "every": 3}, BOTH)
        assert [result.error for result in results] == [None, None]
    assert [result.row_count for result in results] == [3, 3]
    assert ids(connectors) == upto(8)


@pytest.mark.parametrize("kind", ["GLOBAL", *LATER])
def test_a_crash_goes_on_where_all_streams_stand(
    connectors: ConnectorLander, catalog: Catalog, kind: str
) -> None:
    config = {"states": kind, "count": 12, "every": 4, "after": 7, "fault": "crash"}
    results = connectors.land_all(config, BOTH, settings=ONCE)
    assert all("status 137" in str(result.error) for result in results)
    assert ids(connectors) == upto(6)  # what no state stood for has not landed, in either
    things, also = (stream_state(catalog, "test", name).state for name in ("things", "also"))
    assert things == also is not None
    assert [r.error for r in connectors.land_all(config, BOTH, settings=ONCE)] == [None, None]
    assert ids(connectors) == upto(12)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_retries_and_random_kills_lose_and_double_nothing(
    connectors: ConnectorLander, kind: str
) -> None:
    rng = random.Random(5)  # noqa: S311 - moments, not secrets
    for count in (15, 40):
        config = {
            "states": kind, "count": count, "every": rng.randint(1, 7), "times": 99,
            "after": rng.randint(count - 14, count - 1), "fault": "crash",
        }  # fmt: skip
        memory = connectors.folder / "memory"
        memory.unlink(missing_ok=True)
        results = connectors.land_all(config | {"times": 2}, BOTH, settings=OFTEN)
        assert [result.error for result in results] == [None, None]
        assert ids(connectors) == upto(count)


@pytest.mark.soak
def test_a_stream_that_joins_is_read_from_its_start(connectors: ConnectorLander) -> None:
    config = {"states": "GLOBAL", "count": 6, "every": 2}
    connectors.land_all(config, BOTH[:1])
    connectors.land_all(config | {"count": 9}, BOTH)
    assert ids(connectors) == upto(9)


def test_a_stream_left_behind_is_caught_up_with(connectors: ConnectorLander) -> None:
    config = {"states": "GLOBAL", "count": 4}
    connectors.land_all(config, BOTH)
    connectors.land_all(config | {"count": 6}, BOTH[:1])  # the shared position moves on alone
    connectors.land_all(config | {"count": 7}, BOTH)
    things, also = ids(connectors)
    assert also == list(range(1, 8))  # nothing of it is lost
    assert sorted(set(things)) == list(range(1, 8))  # and what is read again has a key
    assert told(connectors)[-1][0]["global"]["shared_state"] == {"position": 8}


@pytest.mark.soak
def test_a_legacy_value_says_nothing_of_a_stream_that_never_landed(
    connectors: ConnectorLander,
) -> None:
    config = {"states": "LEGACY", "count": 4}
    connectors.land_all(config, BOTH[:1])
    connectors.land_all(config, BOTH)
    assert ids(connectors) == upto(4)
    assert told(connectors)[-1] == {"things": {"id": 4}}
    opaque = config | {"states": "OPAQUE"}
    connectors.land_all(opaque, BOTH, full_refresh=True)
    assert told(connectors)[-1] is None
    assert ids(connectors) == upto(4)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_generation_appears_in_all_streams_or_in_none(
    connectors: ConnectorLander, kind: str
) -> None:
    config = {"states": kind, "count": 3, "every": 2}
    connectors.land_all(config, BOTH)
    broken = config | {"count": 9, "after": 5, "fault": "crash", "times": 99}
    results = connectors.land_all(broken, BOTH, full_refresh=True, settings=ONCE)
    assert all(result.error for result in results)
    assert ids(connectors) == upto(3)
    again = connectors.land_all(config | {"count": 2}, BOTH, full_refresh=True)
    assert [result.row_count for result in again] == [2, 2]
    assert ids(connectors) == upto(2)


@pytest.mark.soak
def test_a_stream_that_is_read_in_full_takes_no_part(connectors: ConnectorLander) -> None:
    config = {"states": "GLOBAL", "count": 5, "every": 2}
    mixed = [BOTH[0], {"name": "also"}]
    for _ in range(2):
        results = connectors.land_all(config, mixed)
        assert [result.error for result in results] == [None, None]
        assert ids(connectors) == upto(5)
    assert [result.row_count for result in results] == [0, 5]
