"""What a container of Superset is told by its variables, and not by files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lavra.dashboards import superset
from lavra.settings import load_settings


def test_password_comes_from_the_setting_and_is_else_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = superset.admin_credentials(load_settings(project)).password
    assert made == superset.admin_credentials(load_settings(project)).password
    monkeypatch.setenv("LAVRA_SUPERSET_ADMIN_PASSWORD", "from-a-secret")
    assert superset.admin_credentials(load_settings(project)).password == "from-a-secret"


@pytest.mark.parametrize(
    ("url", "auth", "expected"),
    [
        ("http://127.0.0.1:8080", "", "lavra://127.0.0.1:8080/prod"),
        ("https://lake.a.run.app", "", "lavra://lake.a.run.app:443/prod?https=true"),
        ("https://a.run.app", "google", "lavra://a.run.app:443/prod?https=true&auth=google"),
    ],
)
def test_superset_is_told_how_to_reach_the_service(
    project: Path, monkeypatch: pytest.MonkeyPatch, url: str, auth: str, expected: str
) -> None:
    monkeypatch.setenv("LAVRA_SERVICE_URL", url)
    monkeypatch.setenv("LAVRA_SUPERSET_SERVICE_AUTH", auth)
    assert superset._service_uri(load_settings(project), "prod") == expected
