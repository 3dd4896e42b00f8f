"""Logging in to the real Superset through an OpenID Connect provider; roles by groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from lavra.dashboards import superset
from lavra.dashboards.client import SupersetClient
from tests.browser import keep, open_browser, open_dashboard
from tests.conftest import free_port
from tests.lavra.dashboards.conftest import RunningSuperset, serving_superset
from tests.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider

ANA = {"sub": "1", "email": "ana@example.com", "given_name": "Ana", "family_name": "Souza"}
SQL = {"database_id": 1, "sql": "select 1 as a", "client_id": "abc", "runAsync": False}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A provider of identities."""
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def sign_on(running_superset: RunningSuperset, provider: Provider) -> Iterator[str]:
    """The address of a second server over the same metadata, with single sign-on."""
    settings = running_superset.settings.model_copy(
        update={
            "superset_port": free_port(),
            "superset_oidc_issuer": provider.issuer,
            "superset_oidc_client_id": CLIENT_ID,
            "superset_oidc_client_secret": SecretStr(CLIENT_SECRET),
        }
    )
    with serving_superset(settings, running_superset.environment) as url:
        yield url


@contextmanager
def _log_in(url: str, provider: Provider, person: dict[str, Any]) -> Iterator[httpx.Client]:
    """Follow every redirect from the login page to where it ends."""
    provider.person = person
    with httpx.Client(base_url=url, follow_redirects=True, timeout=120, trust_env=False) as client:
        client.get("/login/sso")
        yield client


def _who(client: httpx.Client) -> str | None:
    answer = client.get("/api/v1/me/")
    return answer.json()["result"]["username"] if answer.status_code == 200 else None


def _may_run_sql(client: httpx.Client) -> bool:
    token = client.get("/api/v1/security/csrf_token/").json()["result"]
    headers = {"X-CSRFToken": token, "Referer": str(client.base_url)}
    answer = client.post("/api/v1/sqllab/execute/", json=SQL, headers=headers)
    assert answer.status_code in {200, 403}, answer.text
    return answer.status_code == 200


def _tile(client: httpx.Client) -> dict[str, Any]:
    charts = client.get("/api/v1/dashboard/commerce/charts").json()["result"]
    chart = next(item for item in charts if item["slice_name"] == "Orders by status")
    answer = client.get(f"/api/v1/chart/{chart['id']}/data/")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"][0]
    return result


def test_a_viewer_sees_dashboards_and_nothing_else(sign_on: str, provider: Provider) -> None:
    with _log_in(sign_on, provider, ANA) as client:
        assert _who(client) == "ana@example.com"
        assert set(client.get("/api/v1/me/roles/").json()["result"]["roles"]) >= {"Viewer"}
        assert client.get("/superset/dashboard/commerce/").status_code == 200
        assert _tile(client)["rowcount"] > 0
        assert not _may_run_sql(client)
        assert client.get("/api/v1/database/").status_code == 403
        token = client.get("/api/v1/security/csrf_token/").json()["result"]
        written = client.put(
            "/api/v1/dashboard/1", json={"dashboard_title": "Mine"},
            headers={"X-CSRFToken": token, "Referer": sign_on},
        )  # fmt: skip
        assert written.status_code == 403


def test_groups_bring_roles_and_take_them_away(sign_on: str, provider: Provider) -> None:
    with _log_in(sign_on, provider, ANA | {"groups": ["analysts"]}) as client:
        assert _may_run_sql(client)
    with _log_in(sign_on, provider, ANA | {"groups": ["somebody-else"]}) as client:
        assert not _may_run_sql(client)


@pytest.mark.parametrize(
    "change",
    [
        {"email": "admin"},
        {"email": "eve@example.com", "email_verified": False},
        {"email": ""},
        {"aud": "another-client"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"nonce": "of another login"},
    ],
)
def test_what_is_wrong_logs_nobody_in(
    sign_on: str, provider: Provider, change: dict[str, Any]
) -> None:
    with _log_in(sign_on, provider, ANA | change) as client:
        assert _who(client) is None


def test_a_key_that_is_not_the_providers_logs_nobody_in(sign_on: str, provider: Provider) -> None:
    provider.signing_key = rsa.generate_private_key(65537, 2048)
    try:
        with _log_in(sign_on, provider, ANA) as client:
            assert _who(client) is None
    finally:
        provider.signing_key = None


def test_a_forged_answer_of_the_provider_logs_nobody_in(sign_on: str, provider: Provider) -> None:
    provider.person = ANA
    with httpx.Client(base_url=sign_on, timeout=120, trust_env=False) as client:
        answer = client.get("/oauth-authorized/sso?code=stolen&state=made-up")
        assert answer.status_code == 302
        assert _who(client) is None


def test_the_command_line_still_works_with_its_password(
    sign_on: str, running_superset: RunningSuperset
) -> None:
    credentials = superset.admin_credentials(running_superset.settings)
    with SupersetClient(sign_on, credentials) as client:
        assert client.dashboards()


@pytest.mark.soak
@pytest.mark.browser
def test_a_person_logs_in_by_the_provider_and_sees_the_dashboard(
    sign_on: str, provider: Provider
) -> None:
    provider.person = ANA | {"sub": "2", "email": "bia@example.com", "given_name": "Bia"}
    with open_browser(width=1280, height=800) as page:
        page.goto(f"{sign_on}/superset/dashboard/commerce/")
        # The page sends whoever is not logged in to the login, and from there back to itself.
        page.get_by_text("Sign in with Sso").click()
        page.wait_for_url(f"{sign_on}/superset/dashboard/commerce/**")
        answers = open_dashboard(page, sign_on, "commerce", charts=13)
        keep(page, "single_sign_on")
        assert answers.without_rows == []
        # A viewer has no place to write SQL.
        assert page.get_by_text("Dashboards").count() > 0
        assert page.get_by_text("SQL Lab").count() == 0
        refused = page.goto(f"{sign_on}/sqllab/")
        assert refused is not None
        assert refused.status == 403
