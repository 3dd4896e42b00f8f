"""The dashboards as a person has them, in a real Chromium over the real Superset and service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page

from lavra.dashboards import superset
from lavra.dashboards.gold import GoldTable
from tests.browser import (
    ChartAnswers,
    is_drawn,
    keep,
    keep_dashboard,
    log_in,
    open_browser,
    open_dashboard,
    wait_for,
)  # fmt: skip
from tests.lavra.dashboards.conftest import (
    GOLD,
    ORDERS_THROUGH,
    UI_TABLE,
    RunningSuperset,
    note_audits,
)
from tests.query_service.conftest import wait_until

TILES = 13
"""Twelve charts, and the row that says how fresh they are."""
BY_STATUS = re.compile(r"status\W+IN \('\w+'\)")
MADE_UP = {
    "TEXT": "'v' || i % 7", "DATE": "current_date - (i % 60)::int", "BOOLEAN": "i % 2 = 0",
    "TIMESTAMP": "now()::timestamp - to_minutes(i)",
}  # fmt: skip
"""Values of a column by its type, for the ``i``-th row; any other type holds small numbers."""


@pytest.mark.browser
def test_a_person_sees_every_tile_and_filters_them(running_superset: RunningSuperset) -> None:
    with open_browser(width=1280, height=800) as page:
        answers = open_dashboard(
            page, running_superset.url, "commerce", TILES, login=running_superset.admin
        )
        keep_dashboard(page, "commerce", TILES)
        assert answers.without_rows == []
        # Nothing is cut off on a laptop: the page does not scroll sideways.
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.get_by_text("Unexpected error").count() == 0

        before = len(answers.answers)
        page.locator("[data-test=form-item-value] input").first.click()
        page.get_by_title("RJ", exact=True).first.click()
        page.keyboard.press("Escape")
        page.locator("[data-test=filter-bar__apply-button]").click()

        def filtered() -> list[str]:
            queries = (str(a["body"].get("query")) for a in answers.answers[before:])
            return [query for query in queries if "'RJ'" in query]

        # Those in view now; the others are asked for when they come into view.
        wait_for(page, lambda: len(filtered()) >= 4)
        assert all(answer["rows"] for answer in answers.answers[before:])
        # How fresh it is depends on no filter; other tiles ask only how far their data goes.
        assert not any("audits_passed" in query for query in filtered())


@pytest.mark.soak
@pytest.mark.browser
def test_a_click_filters_and_it_asks_again_by_itself(running_superset: RunningSuperset) -> None:
    with open_browser(width=1280, height=800) as page:
        page.clock.install()
        answers = open_dashboard(
            page, running_superset.url, "commerce", TILES, login=running_superset.admin
        )
        # Of Rio's orders there is one status: its bar is in the middle.
        page.locator("[data-test=form-item-value] input").first.click()
        page.get_by_title("RJ", exact=True).first.click()
        page.keyboard.press("Escape")
        page.locator("[data-test=filter-bar__apply-button]").click()
        wait_for(page, lambda: any(_asks_for_rio(answer) for answer in answers.answers))
        wait_for(page, lambda: is_drawn(page, TILES), times=6)
        before = len(answers.answers)

        def crossed() -> list[dict[str, Any]]:
            found = answers.answers[before:]
            return [a for a in found if BY_STATUS.search(str(a["body"].get("query")))]

        # A click on a bar filters the other tiles.
        _click_a_bar(page, lambda: bool(crossed()))
        wait_for(page, lambda: len(crossed()) >= 3)
        assert all(answer["rows"] for answer in crossed())
        _wait_until_it_asks_again(page, answers)


def _asks_for_rio(answer: dict[str, Any]) -> bool:
    return "'RJ'" in str(answer["body"].get("query"))


def _click_a_bar(page: Page, was_heard: Callable[[], bool]) -> None:
    """Click on one of the bars until tiles are asked for with that filter.

    A click on a chart that is being drawn anew is lost, so it is made again. A second one that was
    not needed takes the filter away, after tiles were asked for with it.
    """
    bars = page.locator(".dashboard-component-chart-holder", has_text="Orders by status")
    bars.scroll_into_view_if_needed()

    def clicked() -> bool:
        box = bars.locator("canvas").first.bounding_box()
        if box is None or page.query_selector(".loading, .ant-spin"):
            return False
        page.mouse.click(box["x"] + box["width"] * 0.54, box["y"] + box["height"] * 0.5)
        for _ in range(120):
            if was_heard():
                return True
            page.wait_for_timeout(250)
        return False

    wait_for(page, clicked)


def _wait_until_it_asks_again(page: Page, answers: ChartAnswers) -> None:
    """Let the page's clock go on by minutes until each tile was asked for again."""
    before = len(answers.answers)

    def asked_again() -> bool:
        page.clock.fast_forward(61_000)
        for _ in range(40):
            if len(answers.answers) >= before + TILES:
                return True
            page.wait_for_timeout(250)
        return False

    wait_for(page, asked_again)


@pytest.mark.soak
@pytest.mark.browser
def test_a_chart_saved_as_another_comes_back_as_a_file(running_superset: RunningSuperset) -> None:
    running = running_superset
    project = running.settings.project
    board = project / "superset/assets/dashboards/commerce.yaml"
    before, made = board.read_text(), project / "superset/assets/charts/orders_i_copied.yaml"
    with running.client() as client:
        chart = next(c for c in client.charts_of("commerce") if c["slice_name"] == SAVED)
    try:
        with open_browser(width=1280, height=800) as page:
            log_in(page, running.url, *running.admin, to=f"/explore/?slice_id={chart['id']}")
            _save_as(page, "Orders I copied", "Commerce")
            keep(page, "saved_as")
        said = _lavra(running, "dashboards", "export")
        assert "wrote superset/assets/charts/orders_i_copied.yaml" in said
        assert made.read_text().splitlines() == [
            "title: Orders I copied", "type: bar", "dataset: fct_orders",
            "metrics: [order_count]", "x: status",
            "options: {show_value: true, xAxisLabelRotation: 45, xAxisLabelInterval: '0'}",
        ]  # fmt: skip
        lines = board.read_text().splitlines()
        assert [line for line in lines if "orders_i_copied" in line] != []
        assert _lavra(running, "dashboards", "lint").endswith("no fault\n")
    finally:
        made.unlink(missing_ok=True)
        board.write_text(before)
        with running.client() as client:
            charts = client.get("/api/v1/chart/", q="(page_size:100)")["result"]
            for copy in charts:
                if copy["slice_name"] == "Orders I copied":
                    client.delete(f"/api/v1/chart/{copy['id']}")


SAVED = "Orders by status"


def _save_as(page: Page, name: str, dashboard: str) -> None:
    """Save the chart that the editor shows as another one, onto a dashboard."""
    page.locator("[data-test=chart-container] canvas").first.wait_for()
    page.locator("[data-test=query-save-button]").click()
    page.locator("[data-test=saveas-radio]").check()
    page.locator("[data-test=new-chart-name]").fill(name)
    chosen = page.locator("[data-test=save-chart-modal-select-dashboard-form]")
    chosen.locator("input").fill(dashboard)
    page.get_by_title(dashboard, exact=True).last.click()
    with page.expect_response(lambda answer: answer.request.method == "POST"
                              and answer.url.endswith("/api/v1/chart/")) as saved:  # fmt: skip
        page.locator("[data-test=btn-modal-save]").click()
    assert saved.value.status == 201


def _lavra(running: RunningSuperset, *words: str) -> str:
    """What a command of ``lavra`` says in the lake's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "lavra", *words], cwd=running.settings.project,
        env={k: v for k, v in os.environ.items() if not k.startswith("LAVRA_")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.soak
@pytest.mark.browser
def test_each_dashboard_opens_with_rows_in_each_tile(running_superset: RunningSuperset) -> None:
    running = running_superset
    gold = superset.read_gold(running.settings)
    aviation = [table for table in gold.tables.values() if table.schema == "gold_aviation"]
    with _made_up(running, aviation), open_browser(width=1280, height=1800) as page:
        with running.client() as client:
            boards = {b["slug"]: len(client.charts_of(b["slug"])) for b in client.dashboards()}
        assert set(boards) == {"access", "aviation", "commerce"}
        log_in(page, running.url, *running.admin)
        for slug, tiles in boards.items():
            answers = open_dashboard(page, running.url, slug, tiles)
            keep_dashboard(page, f"each_{slug}", tiles)
            assert answers.without_rows == [], slug


@contextmanager
def _made_up(running: RunningSuperset, tables: list[GoldTable]) -> Iterator[None]:
    """Serve Gold tables whose rows are made up, the newest of now, beside the lake's own."""
    lake = running.lake
    schemas = {table.schema for table in tables}
    for schema in schemas:
        lake.duck.execute(f"create schema lake.{schema}")
    for table in tables:
        values = ", ".join(
            f"({MADE_UP.get(column.type, '1 + i % 9')})::{column.type} as {column.name}"
            for column in table.columns.values()
        )
        lake.duck.execute(
            f"create table lake.{table.schema}.{table.name} as select {values} from range(120) t(i)"
        )
    own = [*(("gold_commerce", name) for name in GOLD), ("gold_test", UI_TABLE)]
    try:
        _release(running, [*own, *((table.schema, table.name) for table in tables)])
        yield
    finally:
        for schema in schemas:
            lake.duck.execute(f"drop schema lake.{schema} cascade")
        _release(running, own)


def _release(running: RunningSuperset, tables: list[tuple[str, str]]) -> None:
    release = running.lake.release(tables=tables, data_through=ORDERS_THROUGH)
    note_audits(running.lake, release)
    wait_until(lambda: running.released() == str(release), timeout_s=120)
