"""``superset/roles.yaml``: read, and refused field by field."""

from __future__ import annotations

from pathlib import Path

import pytest

from lavra.dashboards.roles import load_roles, single_sign_on
from lavra.errors import ConfigurationError, DashboardError
from lavra.settings import load_settings


def _write(project: Path, text: str) -> None:
    (project / "superset").mkdir()
    (project / "superset" / "roles.yaml").write_text(text)


def test_without_a_file_everybody_may_look(project: Path) -> None:
    roles = load_roles(project)
    assert roles.own == {"Viewer": {"sql_lab": False, "edit": False}}
    assert roles.mapping == {"*": ["Viewer"]}


def test_groups_bring_roles(project: Path) -> None:
    _write(project, "roles: {Looker: {everyone: true, groups: [a]}, Admin: {groups: [a, b]}}")
    roles = load_roles(project)
    assert set(roles.own) == {"Looker"}
    assert roles.mapping == {"*": ["Looker"], "a": ["Looker", "Admin"], "b": ["Admin"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("roles: {Gamma: {}}", "Gamma is a role of Superset's own"),
        ("roles: {Admin: {everyone: true}}", "Admin may do everything"),
        ("roles: {A: {groups: ['*']}}", "no group is named"),
        ("roles: {A: {sqllab: true}}", "roles.yaml: roles.A.sqllab: Extra inputs"),
        ("roles: [", "no YAML"),
    ],
)
def test_each_fault_is_named(project: Path, text: str, expected: str) -> None:
    _write(project, text)
    with pytest.raises(DashboardError, match=r"roles\.yaml") as caught:
        load_roles(project)
    assert expected in caught.value.message


def test_an_issuer_needs_a_client_whose_secret_may_be_a_reference(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert single_sign_on(load_settings(project), "admin") is None
    monkeypatch.setenv("LAVRA_SUPERSET_OIDC_CLIENT_SECRET", "${SSO_SECRET}")
    settings = load_settings(
        project, superset_oidc_issuer="https://sso.example", superset_oidc_client_id="id"
    )
    with pytest.raises(ConfigurationError, match="no client secret"):
        single_sign_on(settings, "admin")
    monkeypatch.setenv("SSO_SECRET", "s3cret")
    told = single_sign_on(settings, "admin")
    assert told is not None
    assert told["client_secret"] == "s3cret"
    assert "s3cret" not in repr(settings)
