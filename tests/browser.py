"""A real Chromium for tests (marker ``browser``): Debian's package, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, sync_playwright

ARTEFACTS = Path(__file__).parents[1] / "test-artifacts"
_FLAGS = [
    "--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
PATIENCE_MS = 120_000


@dataclass
class ChartAnswers:
    """What ``/api/v1/chart/data`` answered while a page was open."""

    answers: list[dict[str, Any]] = field(default_factory=list)

    def listen(self, response: Response) -> None:
        """Note a response of the page, if it is a chart's."""
        if "/api/v1/chart/data" not in response.url:
            return
        if response.status != 200:
            self.answers.append({"status": response.status, "rows": 0, "body": response.text()})
            return
        for result in response.json()["result"]:
            self.answers.append({"status": 200, "rows": result["rowcount"], "body": result})

    @property
    def without_rows(self) -> list[dict[str, Any]]:
        """Those that failed or were empty."""
        return [answer for answer in self.answers if not answer["rows"]]


@contextmanager
def open_browser(*, width: int = 1440, height: int = 900, locale: str = "en-US") -> Iterator[Page]:
    """Give a page of a fresh Chromium; skip the test, saying why, when there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            page = browser.new_page(viewport={"width": width, "height": height}, locale=locale)
            page.set_default_timeout(PATIENCE_MS)
            yield page
        finally:
            browser.close()


def log_in(page: Page, url: str, username: str, password: str) -> None:
    """Log in to Superset by its form.

    The form is filled when the page is at rest: an answer to a request that the page made as
    nobody, arriving after the login's, would put nobody's session cookie over the user's.
    """
    page.goto(f"{url}/login/", wait_until="networkidle")
    page.fill("input[id=username], input[name=username]", username)
    page.fill("input[id=password], input[name=password]", password)
    page.click("button[type=submit], input[type=submit]")
    page.wait_for_url(lambda found: "/login" not in found)
    page.wait_for_load_state("networkidle")


def open_dashboard(page: Page, url: str, slug: str, charts: int) -> ChartAnswers:
    """Open a dashboard and wait until each of its charts was answered and drawn."""
    answers = ChartAnswers()
    page.on("response", answers.listen)
    page.goto(f"{url}/superset/dashboard/{slug}/?standalone=0")
    page.wait_for_selector(".dashboard-component-chart-holder")
    deadline = PATIENCE_MS // 500
    for _ in range(deadline):
        # Charts below the fold load as they come into view.
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(500)
        if len(answers.answers) >= charts and not page.query_selector(".loading, .ant-spin"):
            break
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(1500)
    return answers


def keep(page: Page, name: str) -> Path:
    """Save a picture of the whole page among the test's artefacts."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
