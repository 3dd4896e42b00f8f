"""The real Superset: bootstrapped from nothing, its charts answered by the real service."""

from __future__ import annotations

from lavra.dashboards import superset
from tests.lavra.dashboards.conftest import RunningSuperset


def test_every_chart_answers_with_rows(running_superset: RunningSuperset) -> None:
    with running_superset.client() as client:
        found = client.check({"commerce"})
    assert len(found) >= 8
    assert [item for item in found if not item.is_good] == []


def test_bootstrap_says_what_it_did_and_skips_it_next_time(
    running_superset: RunningSuperset,
) -> None:
    assert set(running_superset.first.timings_s) == {"start", "migrate", "roles", "admin", "assets"}
    again = superset.bootstrap(
        running_superset.settings, running_superset.environment, running_superset.lake.catalog
    )
    assert again == superset.Outcome()
