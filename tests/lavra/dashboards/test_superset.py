"""The real Superset: bootstrapped from nothing, its charts answered by the real service."""

from __future__ import annotations

import datetime as dt
import os
import resource
import time
from pathlib import Path

import httpx
import pytest

from lavra.dashboards import drift, superset
from lavra.dashboards.client import SupersetClient
from lavra.dashboards.environment import SupersetEnvironment
from lavra.errors import DashboardError
from tests.lavra.dashboards.conftest import RunningSuperset, make_lake_with_dashboards
from tests.query_service.conftest import close_lake, wait_until


def test_every_chart_answers_with_rows(running_superset: RunningSuperset) -> None:
    with running_superset.client() as client:
        found = client.check({"commerce"})
    assert len(found) >= 8
    assert [item for item in found if not item.is_good] == []


def _chart(client: SupersetClient, dashboard: str, title: str) -> int:
    """The number of a dashboard's chart."""
    return next(c["id"] for c in client.charts_of(dashboard) if c["slice_name"] == title)


def test_a_month_that_is_not_over_is_not_compared(running_superset: RunningSuperset) -> None:
    with running_superset.client() as client:
        orders = client.chart_data(_chart(client, "commerce", "Orders"))
    steps = [row["order_date"] for row in orders["data"]]
    months = [dt.datetime.fromtimestamp(step / 1000, dt.UTC).month for step in sorted(steps)]
    # There are orders to the end of December, but the release says that it goes to the 20th.
    assert months == list(range(1, 12))


def test_the_service_knows_which_user_asked(running_superset: RunningSuperset) -> None:
    with running_superset.client() as client:
        client.chart_data(_chart(client, "commerce", "Orders"))

    def recorded() -> list[tuple[str, str]]:
        with running_superset.lake.catalog.connect() as connection:
            return connection.execute(
                "select distinct kind, caller from lavra.access_log where event = 'query'"
            ).fetchall()

    # Without the signature it would be the loopback caller, whom this service lets in as well.
    wait_until(lambda: ("superset", "admin") in recorded(), timeout_s=120)


def _person(running: RunningSuperset, role: str) -> SupersetClient:
    """A session of somebody who has one role."""
    credentials = superset.Credentials(f"some_{role.lower()}", "a-long-pass-phrase")
    with running.client() as admin:
        listed = admin.get("/api/v1/security/roles/", q="(page_size:100)")["result"]
        admin.post(
            "/api/v1/security/users/",
            {
                "username": credentials.username, "password": credentials.password,
                "first_name": "Some", "last_name": role, "active": True,
                "email": f"{credentials.username}@shop.example",
                "roles": [one["id"] for one in listed if one["name"] == role],
            },
        )  # fmt: skip
    return SupersetClient(running.url, credentials)


def test_the_access_log_is_shown_to_those_with_the_right_alone(
    running_superset: RunningSuperset,
) -> None:
    with running_superset.client() as admin:
        admin.chart_data(_chart(admin, "commerce", "Orders"))
        who = _chart(admin, "access", "Who asks how much")

        def is_shown() -> bool:
            # What was asked a moment ago is shipped behind.
            rows = admin.chart_data(who)["data"]
            return ("admin", "superset") in {(row["caller"], row["kind"]) for row in rows}

        wait_until(is_shown, timeout_s=120)
        checked = admin.check({"access"})
        assert len(checked) == 8  # and no row of a release's freshness
        assert all(item.is_good for item in checked)
        latest = _chart(admin, "access", "Latest entries")
    with _person(running_superset, "Auditor") as auditor:
        assert {d["slug"] for d in auditor.dashboards()} >= {"access", "commerce"}
        assert all(item.is_good for item in auditor.check({"access"}))
    with _person(running_superset, "Viewer") as viewer:
        seen = {d["slug"] for d in viewer.dashboards()}
        assert "commerce" in seen
        assert "access" not in seen
        with pytest.raises(DashboardError):
            viewer.charts_of("access")
        # Superset would ask; it is the service that refuses.
        with pytest.raises(DashboardError, match=r"no table lavra\.access_log"):
            viewer.chart_data(latest)


def test_an_event_of_nobody_takes_no_session_away(running_superset: RunningSuperset) -> None:
    """The login page's last event may be answered after the login."""
    with httpx.Client(base_url=running_superset.url, timeout=120, trust_env=False) as browser:
        page = browser.get("/login/?next=/superset/log/")
        event = browser.post("/superset/log/?explode=events", data={"events": "[]"})
    # Whoever were sent on to the login page would get nobody's session from there.
    assert "set-cookie" in page.headers
    assert (event.status_code, event.content) == (204, b"")
    assert not {"set-cookie", "location"} & set(event.headers)


def test_bootstrap_says_what_it_did_and_skips_it_next_time(
    running_superset: RunningSuperset,
) -> None:
    assert set(running_superset.first.timings_s) == {
        "start", "migrate", "roles", "admin", "assets", "grants",
    }  # fmt: skip
    again = superset.bootstrap(
        running_superset.settings, running_superset.environment, running_superset.lake.catalog
    )
    assert again == superset.Outcome()


def _processor_s() -> float:
    """Processor time of the programs that ended, in seconds."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_from_empty_metadata_and_again_each_time_a_process(
    tmp_path: Path, superset_environment: SupersetEnvironment
) -> None:
    lake = make_lake_with_dashboards(tmp_path / "lake")
    try:
        where = (superset_environment, lake.catalog)
        superset.read_gold(lake.settings, lake.catalog)  # is kept until a model changes
        for again in (False, True):
            started, busy = time.monotonic(), _processor_s()
            outcome = superset.bootstrap(lake.settings, *where, force_import=again)
            print(
                f"bootstrap {time.monotonic() - started:.1f} s, of the processor "
                f"{_processor_s() - busy:.1f} s, at load {os.getloadavg()[0]:.1f}: {outcome}"
            )
            assert ("migrate" in outcome.timings_s) is not again
            assert drift.changes(drift.read_state(lake.settings, *where)) == []
        assert superset.bootstrap(lake.settings, *where) == superset.Outcome()
    finally:
        close_lake(lake)
