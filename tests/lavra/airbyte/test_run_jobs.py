"""`lavra ingest run` on a real Airbyte: its job followed, its files entered."""

from __future__ import annotations

from pathlib import Path

import pytest

from lavra.airbyte import jobs
from lavra.catalog import Catalog
from lavra.landing.manifest import current_paths
from lavra.settings import load_settings
from tests.lavra.airbyte.conftest import Workspace
from tests.lavra.airbyte.people import Run


@pytest.fixture
def run(workspace: Workspace, catalog: Catalog) -> Run:
    return Run(workspace, catalog)


def test_a_job_is_started_followed_and_its_files_entered(run: Run) -> None:
    results = run()
    assert run.heard.jobs == [
        (status, False) for status in ("pending", "queued", "running", "succeeded")
    ]
    assert [(r.row_count, r.file_count, r.error) for r in results.values()] == [(2, 1, None)] * 2
    assert all(result.bytes > 1000 for result in results.values())
    run()
    assert (run.files("users"), run.files("purchases")) == (2, 1)  # appended, and overwritten


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_does_not_succeed_is_told_and_keeps_what_was_complete(
    run: Run, status: str
) -> None:
    run()
    before = current_paths(run.catalog, "people", "purchases")
    run.jobs.script = ("running", status)
    results = run()
    for result in results.values():
        assert "Airbyte's job 18 " in str(result.error)
        assert status in str(result.error)
        assert "1,234 rows" in str(result.error)
        assert result.remedy
    assert current_paths(run.catalog, "people", "purchases") == before
    assert run.files("users") == 2  # Airbyte has moved its cursor past what it appended
    run.jobs.script = ("running", "succeeded")
    run()
    assert run.files("purchases") == 1
    assert current_paths(run.catalog, "people", "purchases") != before


def test_an_attempt_that_failed_is_waited_for(run: Run) -> None:
    run.jobs.script = ("running", "incomplete", "running", "succeeded")
    assert [r.error for r in run().values()] == [None, None]
    assert ("incomplete", False) in run.heard.jobs


def test_a_job_that_stays_incomplete_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(jobs.run_job.__kwdefaults__, "patience_s", 0.05)
    run.jobs.script = ("running", "incomplete")
    for result in run().values():
        assert "still incomplete" in str(result.error)
    assert run.files("purchases") == 0


def test_a_job_that_runs_already_is_followed(run: Run) -> None:
    connection = run.workspace.airbyte.only("connections")["connectionId"]
    run.jobs.create(connection, "sync")
    assert [r.error for r in run().values()] == [None, None]
    assert all(joined for _, joined in run.heard.jobs)
    assert len(run.jobs.all) == 1


def test_somebody_who_is_quicker_is_joined(run: Run) -> None:
    airbyte = run.workspace.airbyte

    def start_first(method: str, path: str) -> None:
        if (method, path) == ("POST", "/jobs"):
            airbyte.before_call = None
            run.jobs.create(airbyte.only("connections")["connectionId"], "sync")

    airbyte.before_call = start_first
    assert [r.error for r in run().values()] == [None, None]
    assert len(run.jobs.all) == 1


def test_a_full_refresh_is_a_refresh_and_one_stream_is_entered_alone(run: Run) -> None:
    results = run(full_refresh=True, streams=["users"])
    assert list(results) == ["users"]
    assert [job["jobType"] for job in run.jobs.all.values()] == ["refresh"]
    assert (run.files("users"), run.files("purchases")) == (1, 0)


def test_what_was_not_applied_is_told(run: Run, catalog: Catalog) -> None:
    with catalog.connect() as connection:
        connection.execute("delete from lavra.airbyte_resource")
    for result in run().values():
        assert "not on the Airbyte server yet" in str(result.error)
        assert "lavra ingest apply people" in str(result.remedy)


def test_a_server_that_goes_away_is_told_and_the_next_run_follows(run: Run) -> None:
    def vanish(method: str, path: str) -> None:
        if method == "GET" and path.startswith("/jobs/"):
            raise ConnectionAbortedError

    run.workspace.airbyte.before_call = vanish
    for result in run().values():
        assert "does not answer" in str(result.error)
    run.workspace.airbyte.before_call = None
    assert [r.error for r in run().values()] == [None, None]
    assert len(run.jobs.all) == 1


def test_the_connection_itself_names_no_airbyte(run: Run, project: Path) -> None:
    run.settings = load_settings(project)
    for result in run().values():
        assert "LAVRA_AIRBYTE_URL" in str(result.error)
        assert "--here" in str(result.remedy)
