"""A real Chromium for tests (marker ``browser``): Debian's package, driven by playwright."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Error, Page, Response, sync_playwright

ARTEFACTS = Path(__file__).parents[1] / "test-artifacts"
_FLAGS = [
    "--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
PATIENCE_MS = 120_000
BLANK = 50_000
"""A picture of a dashboard without its charts is smaller, in bytes."""


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
            seen = _listen(page)
            try:
                yield page
            except BaseException:
                _dump(page, seen)
                raise
        finally:
            browser.close()


def _listen(page: Page) -> list[str]:
    """Note what a page says on its console and which of its requests fail."""
    seen: list[str] = []
    page.on("console", lambda message: seen.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.append(f"error: {error}"))
    page.on("requestfailed", lambda r: seen.append(f"failed: {r.method} {r.url}: {r.failure}"))
    page.on(
        "response",
        lambda r: seen.append(f"{r.status}: {r.request.method} {r.url}") if not r.ok else None,
    )
    return seen


def _dump(page: Page, seen: list[str]) -> None:
    """Leave a picture of the page and what was noted among the test's artefacts."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "browser").split(" ", 1)[0]
    name = "failed_" + re.sub(r"[^A-Za-z0-9]+", "_", test.rsplit("::", 1)[-1])
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / f"{name}.log").write_text("\n".join([page.url, *seen]) + "\n")
    with suppress(Error):  # the page may be gone
        page.screenshot(path=ARTEFACTS / f"{name}.png", timeout=10_000)


def log_in(page: Page, url: str, username: str, password: str, to: str = "/") -> None:
    """Log in to Superset by its form, which then goes on to the page ``to``.

    The form is filled when the page is at rest: an answer to a request that the page made as
    nobody, arriving after the login's, would put nobody's session cookie over the user's.
    """
    page.goto(f"{url}/login/?next={quote(to)}", wait_until="networkidle")
    page.fill("input[id=username], input[name=username]", username)
    page.fill("input[id=password], input[name=password]", password)
    page.click("button[type=submit], input[type=submit]")
    page.wait_for_url(lambda found: "/login" not in found)


def open_dashboard(
    page: Page, url: str, slug: str, charts: int, login: tuple[str, str] | None = None
) -> ChartAnswers:
    """Open a dashboard and wait until each of its charts was answered and drawn.

    Args:
        page: A browser's page.
        url: Where Superset is.
        slug: The dashboard's name in its address.
        charts: How many charts it has.
        login: The name and password of who is to log in for it, by the form.
    """
    answers = ChartAnswers()
    page.on("response", answers.listen)
    address = f"/superset/dashboard/{slug}/?standalone=0"
    if login:
        log_in(page, url, *login, to=address)
    else:
        page.goto(f"{url}{address}")
    page.wait_for_selector(".dashboard-component-chart-holder")

    def all_drawn() -> bool:
        # Charts below the fold load as they come into view.
        page.mouse.wheel(0, 400)
        return len(answers.answers) >= charts and is_drawn(page, charts)

    wait_for(page, all_drawn)
    page.evaluate("window.scrollTo(0, 0)")
    # Superset draws the grid anew when its filters are ready: wait until it stays.
    wait_for(page, lambda: is_drawn(page, charts), times=6)
    return answers


def is_drawn(page: Page, charts: int) -> bool:
    """Whether a dashboard shows so many charts and none of them is loading."""
    shown = page.locator(".dashboard-component-chart-holder").count() >= charts
    return shown and not page.query_selector(".loading, .ant-spin")


def keep_dashboard(page: Page, name: str, charts: int) -> Path:
    """Save a picture of a dashboard with all its charts.

    Superset may draw the grid anew while the picture is taken; then another one is.
    """

    def taken() -> bool:
        if not is_drawn(page, charts):
            return False
        keep(page, name)
        return is_drawn(page, charts) and (ARTEFACTS / f"{name}.png").stat().st_size > BLANK

    wait_for(page, taken)
    return ARTEFACTS / f"{name}.png"


def wait_for(page: Page, condition: Callable[[], bool], *, times: int = 1) -> None:
    """Wait until something holds, so many times in a row, while the page goes on."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    held = 0
    while held < times:
        assert time.monotonic() < deadline, f"it did not happen in time: {page.url}"
        held = held + 1 if condition() else 0
        if held < times:
            page.wait_for_timeout(250)


def keep(page: Page, name: str) -> Path:
    """Save a picture of the whole page among the test's artefacts."""
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / f"{name}.png"
    page.screenshot(path=path, full_page=True)
    return path
