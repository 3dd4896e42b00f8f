"""What the doctor finds, on a sound project and on broken ones."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lavra.local import doctor
from lavra.local.doctor import Check, run_checks
from lavra.local.postgres_servers import known_servers, server_pid
from lavra.local.processes import MARK
from lavra.settings import Settings, load_settings
from tests.conftest import free_port


@pytest.fixture(autouse=True)
def _ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAVRA_SERVICE_PORT", str(free_port()))
    monkeypatch.setenv("LAVRA_SUPERSET_PORT", str(free_port()))


def complete(project: Path) -> Path:
    for name in ("airbyte/connections/shop.yaml", "sqlmesh_project/config.py", "superset/assets/x"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    return project


def find(checks: list[Check], name: str) -> Check:
    [found] = [check for check in checks if check.name == name]
    return found


def test_a_sound_project_has_no_complaint_and_nothing_keeps_running(project: Path) -> None:
    checks = list(run_checks(complete(project)))

    assert [check for check in checks if check.level != "ok"] == []
    assert "started and stopped" in find(checks, "catalog").detail
    state = load_settings(project).state
    assert known_servers(state) == [state / "postgres"]
    assert server_pid(state / "postgres") is None
    assert [path for path in (state / "lake").rglob("*") if path.is_file()] == []


def test_a_mistyped_variable_gets_a_suggestion(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAVRA_SERVICE_PROT", "1")
    check = find(list(run_checks(complete(project))), "environment")

    assert check.level == "warn"
    assert "LAVRA_SERVICE_PROT" in check.detail
    assert "LAVRA_SERVICE_PORT?" in check.remedy


def test_a_project_without_models_fails_and_one_without_dashboards_is_warned(project: Path) -> None:
    checks = list(run_checks(project))

    assert find(checks, "models").level == "fail"
    assert find(checks, "dashboards").level == "warn"
    assert find(checks, "sources").level == "warn"


def test_a_package_marker_that_hides_superset_fails(project: Path) -> None:
    complete(project)
    (project / "superset" / "__init__.py").touch()

    assert find(list(run_checks(project)), "layout").level == "fail"


def test_a_wrong_setting_is_reported_and_ends_the_checks(project: Path) -> None:
    (project / "lavra.toml").write_text('time_zone = "Mars/Olympus"\n')
    last = list(run_checks(project))[-1]

    assert (last.name, last.level) == ("settings", "fail")
    assert "time_zone" in last.detail


def test_an_unreachable_catalog_fails_but_the_other_checks_go_on(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/nothing"
    monkeypatch.setenv("LAVRA_CATALOG_URL", url)
    checks = list(run_checks(complete(project)))

    assert find(checks, "catalog").level == "fail"
    assert "secret" not in str(checks)
    assert find(checks, "storage").level == "ok"


def test_storage_that_cannot_be_written_fails(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "file").touch()
    monkeypatch.setenv("LAVRA_LAKE_URL", f"file://{project / 'file' / 'lake'}")

    assert find(list(run_checks(complete(project))), "storage").level == "fail"


def test_little_disk_is_a_warning_and_none_a_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "GOOD_DISK_BYTES", 1 << 60)
    assert doctor._disk(settings).level == "warn"
    monkeypatch.setattr(doctor, "LEAST_DISK_BYTES", 1 << 60)
    assert doctor._disk(settings).level == "fail"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_fails(
    project: Path, taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAVRA_SERVICE_PORT", str(taken_port))
    check = find(list(run_checks(complete(project))), "service port")

    assert check.level == "fail"
    assert str(os.getpid()) in check.detail


def test_leftovers_of_a_killed_start_are_a_warning(settings: Settings) -> None:
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
        env=os.environ | {MARK: str(settings.state)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert left.stdout is not None
    left.stdout.read(1)
    check = doctor._leftovers(settings)
    left.kill()
    left.communicate()

    assert check.level == "warn"
    assert str(left.pid) in check.detail


def test_the_command_prints_json_and_exits_with_1_on_a_failure(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lavra", "doctor", "--json"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert {"name", "level", "detail", "remedy"} == set(json.loads(done.stdout)[0])
