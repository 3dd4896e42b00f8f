"""A running Superset, over its HTTP API, as the administrator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx

from lavra.errors import DashboardError

if TYPE_CHECKING:
    from lavra.dashboards.superset import Credentials

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class ChartCheck:
    """What a chart answered: ``rows``, or the ``error`` instead."""

    dashboard: str
    chart: str
    rows: int
    error: str = ""
    may_be_empty: bool = False

    @property
    def is_good(self) -> bool:
        """Whether it answered with rows, or without where it may."""
        return not self.error and (self.rows > 0 or self.may_be_empty)


class SupersetClient:
    """A session with a running Superset; use it as a context manager.

    Args:
        url: Where it is.
        credentials: Whose session it is.

    Raises:
        DashboardError: it does not answer, or refuses the login.
    """

    def __init__(self, url: str, credentials: Credentials) -> None:
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        login = {
            "username": credentials.username,
            "password": credentials.password,
            "provider": "db",
            "refresh": False,
        }
        try:
            token = self._send("POST", "/api/v1/security/login", json=login)["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
            csrf = self._send("GET", "/api/v1/security/csrf_token/")["result"]
            self._http.headers.update({"X-CSRFToken": csrf, "Referer": url})
        except BaseException:
            self._http.close()
            raise

    def __enter__(self) -> SupersetClient:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def dashboards(self) -> list[dict[str, Any]]:
        """Return every dashboard: id, slug, dashboard_title."""
        return self._list("/api/v1/dashboard/")

    def charts_of(self, dashboard: int | str) -> list[dict[str, Any]]:
        """Return the charts of a dashboard, by id or slug."""
        found: list[dict[str, Any]] = self._send("GET", f"/api/v1/dashboard/{dashboard}/charts")[
            "result"
        ]
        return found

    def check(
        self, slugs: set[str] | None = None, may_be_empty: frozenset[str] = frozenset()
    ) -> list[ChartCheck]:
        """Ask every chart of every dashboard (or of those of ``slugs``) for its data.

        Args:
            slugs: Dashboards to look at.
            may_be_empty: Titles of charts that have no rows as long as nothing happened.
        """
        return [
            replace(
                self._check_chart(dashboard["dashboard_title"], chart),
                may_be_empty=chart["slice_name"] in may_be_empty,
            )
            for dashboard in self.dashboards()
            if slugs is None or dashboard["slug"] in slugs
            for chart in self.charts_of(dashboard["id"])
        ]

    def chart_data(self, chart_id: int) -> dict[str, Any]:
        """Return a chart's first answer, fresh from the service, by its saved query."""
        answer = self._send("GET", f"/api/v1/chart/{chart_id}/data/", params={"force": "true"})
        result: dict[str, Any] = answer["result"][0]
        return result

    def get(self, path: str, **parameters: str) -> Any:
        """Return the decoded answer to a GET."""
        return self._send("GET", path, params=parameters)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """Return the decoded answer to a PUT."""
        return self._send("PUT", path, json=body)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the decoded answer to a POST."""
        return self._send("POST", path, json=body)

    def delete(self, path: str) -> Any:
        """Return the decoded answer to a DELETE."""
        return self._send("DELETE", path)

    def _check_chart(self, dashboard: str, chart: dict[str, Any]) -> ChartCheck:
        name = chart["slice_name"]
        try:
            result = self.chart_data(chart["id"])
        except DashboardError as error:
            return ChartCheck(dashboard, name, 0, error.message)
        if result["status"] != "success" or result.get("error"):
            return ChartCheck(dashboard, name, 0, str(result.get("error") or result["status"]))
        return ChartCheck(dashboard, name, int(result["rowcount"]))

    def _list(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            order = "order_column:changed_on,order_direction:asc"
            query = f"(page:{len(found) // 100},page_size:100,{order})"
            page = self._send("GET", path, params={"q": query})
            found += page["result"]
            if len(page["result"]) < 100:
                return found

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise DashboardError(
                f"Superset at {self._http.base_url} does not answer: {error}",
                remedy="Start it with `lavra up`.",
            ) from error
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise DashboardError(
                "Superset refuses the administrator's password.",
                remedy="`lavra dashboards import` sets it to the one kept in the state folder.",
            )
        if response.is_error:
            raise DashboardError(f"Superset refused {method} {path}: {_reason(response)}")
        return response.json()


def _reason(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return f"HTTP {response.status_code}"
    if isinstance(body, dict):
        errors = body.get("errors") or [{}]
        found = body.get("message") or errors[0].get("message")
        return str(found or f"HTTP {response.status_code}")
    return str(body)
