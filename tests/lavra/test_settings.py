"""Settings: one reader of the environment, clear refusals, masked secrets."""

from pathlib import Path

import pytest

from lavra.errors import ConfigurationError
from lavra.settings import Settings, find_project, load_settings


def test_the_environment_wins_over_the_project_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "lavra.toml").write_text('name = "shop"\nservice_port = 9000\n')
    assert load_settings(project).service_port == 9000
    monkeypatch.setenv("LAVRA_SERVICE_PORT", "9001")
    assert load_settings(project).service_port == 9001
    assert load_settings(project, service_port=9002).service_port == 9002


def test_the_project_is_found_from_a_folder_below_it(project: Path) -> None:
    below = project / "sqlmesh_project" / "models"
    below.mkdir(parents=True)
    assert find_project(below) == project


def test_outside_a_project_it_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="lavra init"):
        find_project(tmp_path)


def test_a_named_project_without_its_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAVRA_PROJECT", str(tmp_path))
    with pytest.raises(ConfigurationError, match="LAVRA_PROJECT"):
        find_project()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("colour = 1\n", "colour"),
        ('time_zone = "Mars/Olympus"\n', "IANA time zone"),
        ("service_port = 0\n", "service_port"),
        ('lake_url = "s3://bucket"\n', "file:// or gs://"),
        ("name = \n", "not valid TOML"),
        ('name = "Has Spaces"\n', "name"),
    ],
)
def test_a_wrong_project_file_is_named(project: Path, content: str, said: str) -> None:
    (project / "lavra.toml").write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        load_settings(project)


def test_a_secret_is_in_no_message(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAVRA_CATALOG_URL", "postgresql://me:hunter2@db/lavra")
    settings = load_settings(project)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    monkeypatch.setenv("LAVRA_SERVICE_PORT", "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(project)
    assert "hunter2" not in str(caught.value)


def test_every_setting_says_what_it_is() -> None:
    undescribed = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undescribed == []


def test_defaults_point_below_the_project(project: Path) -> None:
    settings = load_settings(project)
    assert settings.resolved_lake_url == f"file://{project}/.lavra/lake"
    assert settings.resolved_service_url == "http://127.0.0.1:8080"
    assert settings.catalog_is_embedded
