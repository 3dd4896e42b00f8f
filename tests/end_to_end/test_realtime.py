"""`lavra up --realtime`: from a commit at the source to a tile in a browser, by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from playwright.sync_api import Page

from lavra.dashboards.superset import admin_credentials
from lavra.settings import load_settings
from lavra.workloads.aviation.source import DATABASE, source_server
from tests.browser import keep, log_in, open_browser, open_dashboard, wait_for
from tests.conftest import free_port
from tests.end_to_end.conftest import RunningLake, copy_declarations, lake_up

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

EVENTS = "select count(*) from maintenance_events"
LIVE = "select cast(sum(event_count) as bigint) from gold_aviation.live_minutes"
CHARTS = 11
OURS = "an event of the test, 7f3a91"
INSERT = f"""
insert into maintenance_events (event_id, work_order_id, aircraft_id, station_code, technician_id,
    kind, ata_chapter, description, man_hours, occurred_at)
select -1, work_order_id, aircraft_id, station_code, (select min(technician_id) from technicians),
    'inspection', 5, '{OURS}', 0.5, now()
from work_orders order by work_order_id limit 1"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The declarations of the aviation domain alone."""
    left_out = ("commerce", "commerce.yaml", "connections")
    return copy_declarations(tmp_path_factory.mktemp("realtime") / "lake", *left_out)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def at_source(lake: RunningLake, statement: str) -> list[tuple[int, ...]]:
    url = source_server(load_settings(lake.root)).url(DATABASE)
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def shown(lake: RunningLake) -> int:
    return int(lake.query(LIVE)["rows"][0][0])


def test_a_number_follows_the_source_and_down_ends_everything(root: Path) -> None:
    port = free_port()
    options = ("--realtime", "--rate", "2", "--domain", "aviation", "--no-superset")
    with lake_up(
        root, *options, LAVRA_GENERATOR_PORT=str(port), LAVRA_WORKLOAD_SCALE="0.1"
    ) as lake:
        status = json.loads(lake.command("lavra", "status", "--json").stdout)
        running = {p["name"] for p in status["up"]["processes"] if p["running"]}
        assert running >= {"service", "worker", "recurring", "generator-aviation"}
        for _ in range(2):
            [(events,)] = at_source(lake, EVENTS)
            until(lambda least=events: shown(lake) > least)  # type: ignore[misc]
        # Between two releases the number moves: it is not the runs that move it.
        until(lambda: "." in lake.query(LIVE)["snapshot"]["id"])
        [stream] = json.loads(lake.command("lavra", "stream", "status", "--json").stdout)
        assert (stream["state"], stream["error"]) == ("running", None)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        assert "service" in lake.command("lavra", "down").stdout
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://127.0.0.1:{port}/healthz")
    # That no process is left, its end asserts.


@pytest.mark.browser
def test_the_dashboard_changes_by_itself_and_a_deleted_row_disappears(root: Path) -> None:
    port = free_port()
    options = ("--realtime", "--rate", "0", "--domain", "aviation")
    with (
        lake_up(root, *options, LAVRA_GENERATOR_PORT=str(port), LAVRA_WORKLOAD_SCALE="0.1") as lake,
        open_browser() as page,
    ):
        [(events,)] = at_source(lake, EVENTS)
        until(lambda: shown(lake) == events)
        url = f"http://127.0.0.1:{lake.superset_port}"
        log_in(page, url, *admin_credentials(load_settings(lake.root)))
        opened = open_dashboard(page, url, "aviation", CHARTS)
        assert [answer for answer in opened.answers if answer["status"] != 200] == []
        assert counted(page) == events

        answer = httpx.post(f"http://127.0.0.1:{port}/generate?n=50", timeout=60)
        assert answer.status_code == 200, answer.text
        [(more,)] = at_source(lake, EVENTS)
        assert more > events
        wait_for(page, lambda: counted(page) == more)  # nobody touches the page

        latest = page.locator(".dashboard-component-chart-holder", has_text="Latest events")
        at_source(lake, INSERT)
        wait_for(page, lambda: OURS in latest.inner_text())
        assert counted(page) == more + 1
        keep(page, "aviation_live")
        at_source(lake, "delete from maintenance_events where event_id = -1")
        wait_for(page, lambda: OURS not in latest.inner_text() and counted(page) == more)


def counted(page: Page) -> int:
    """The number in the tile of all maintenance events."""
    tile = page.locator(".dashboard-component-chart-holder", has_text="Maintenance events").first
    digits = "".join(c for c in tile.locator(".header-line").inner_text() if c.isdigit())
    return int(digits or -1)
