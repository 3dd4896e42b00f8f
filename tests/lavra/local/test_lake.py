"""What a start decides: what is refused, and whether it may serve before it plans."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lavra.local.fingerprint import fingerprint, is_applied, mark_applied
from lavra.local.realtime import has_generator, streamed_workloads
from lavra.local.run_file import RunFile, RunState, as_running
from lavra.settings import Settings, load_settings
from tests.conftest import free_port

ROOT = Path(__file__).parents[3]


def lavra(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lavra", *words],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_realtime_without_a_stream_is_refused_before_anything_starts(project: Path) -> None:
    done = lavra(project, "up", "--realtime")

    assert done.returncode == 1
    assert "There is no stream in" in done.stderr
    assert not (project / ".lavra").exists()


def test_realtime_brings_what_stands_in_for_the_streams_sources(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = ROOT / "airbyte" / "streams" / "aviation.yaml"
    folder = settings.project / "airbyte" / "streams"
    folder.mkdir(parents=True)
    (folder / declared.name).write_text(declared.read_text())

    assert streamed_workloads(settings) == ("aviation",)
    assert has_generator("aviation")
    assert not has_generator("commerce")
    for name in ("HOST", "PASSWORD"):
        monkeypatch.setenv(f"AVIATION_{name}", "there")
    assert streamed_workloads(settings) == (), "a real source needs nobody to stand in"


def test_an_unknown_domain_names_those_that_ship(project: Path) -> None:
    port = str(free_port())
    done = lavra(project, "up", "--no-superset", "--domain", "mining", "--service-port", port)

    assert done.returncode == 1
    assert "no shipped domain 'mining'" in done.stderr
    assert "commerce" in done.stderr
    assert RunFile(project / ".lavra").read() is None


def test_the_fingerprint_follows_contents_not_dates(settings: Settings) -> None:
    model = settings.project / "sqlmesh_project" / "models" / "a.sql"
    model.parent.mkdir(parents=True)
    model.write_text("select 1")
    before = fingerprint(settings)
    mark_applied(settings, before)
    model.write_text("select 1")
    (model.parent / "__pycache__").mkdir()
    (model.parent / "__pycache__" / "x.pyc").write_text("")

    assert is_applied(settings, fingerprint(settings))
    model.write_text("select 2")
    assert not is_applied(settings, fingerprint(settings))
    model.unlink()
    assert not is_applied(settings, fingerprint(settings))


def test_the_fingerprint_follows_the_time_zone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAVRA_TIME_ZONE", "America/Sao_Paulo")

    assert fingerprint(load_settings(settings.project)) != fingerprint(settings)


def test_the_service_is_found_where_it_was_started(settings: Settings) -> None:
    run_file = RunFile(settings.state)
    assert as_running(settings).resolved_service_url == "http://127.0.0.1:8080"
    with run_file.hold():
        run_file.write(RunState(service_url="http://127.0.0.1:9000"))
        assert as_running(settings).resolved_service_url == "http://127.0.0.1:9000"
    assert as_running(settings).resolved_service_url == "http://127.0.0.1:8080"
