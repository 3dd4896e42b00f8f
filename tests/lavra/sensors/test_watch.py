"""What arrives is landed, entered and modelled, once; what died is taken up again."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from lavra.airbyte.jobs import Job
from lavra.catalog import Catalog
from lavra.errors import LavraError, ProcessError
from lavra.landing.connection_lock import connection_lock
from lavra.landing.connections import load_connections
from lavra.landing.run import Quiet, run_connection
from lavra.sensors.attempts import claim, finish
from lavra.sensors.due import due
from lavra.sensors.watch import Watch
from lavra.settings import Settings, load_settings
from lavra.storage import open_storage
from tests.lavra.airbyte.conftest import Workspace
from tests.lavra.airbyte.people import PEOPLE, Run

SIX = dt.datetime(2099, 11, 21, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
STOCK: dict[str, Any] = {
    "name": "stock", "description": "d", "owner": "o",
    "source": {"connector": "csv", "config": {"root": "data"}},
    "streams": [{"name": "items", "path": "*.csv", "sync_mode": "full_refresh_append"}],
}  # fmt: skip
DAILY = {"schedule": {"schedule_type": "cron", "cron_expression": "0 0 6 * * ?"}}


class Heard(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def due(self, connection: str, reason: str) -> None:
        self.said.append(f"{connection}: {reason}")

    def models(self, connections: Any) -> None:
        self.said.append(f"models after {list(connections)}")

    def trouble(self, error: LavraError) -> None:
        self.said.append(f"trouble: {error}")

    def job(self, connection: str, job: Job, *, joined: bool) -> None:
        pass


class Lake:
    """A project with one connection, watched."""

    def __init__(self, project: Path, catalog: Catalog, **more: Any) -> None:
        self.project, self.catalog = project, catalog
        (project / "data").mkdir()
        self.declare(STOCK | more)
        self.broken = False
        self.models = 0
        self.start()

    def declare(self, connection: dict[str, Any]) -> None:
        path = self.project / "airbyte" / "connections" / f"{connection['name']}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(connection))

    def start(self) -> None:
        """Begin to watch, as a new process would."""
        self.watch = self.watching(load_settings(self.project))

    def watching(self, settings: Settings) -> Watch:
        """Return a watch of a new process."""
        self.heard = Heard()
        storage = open_storage(settings)
        return Watch(settings, self.catalog, storage, self.heard, self.run_models)

    @staticmethod
    def now_after_settling() -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)

    def run_models(self) -> None:
        if self.broken:
            raise ProcessError("The models failed: no.")
        self.models += 1

    def write(self, name: str, age_s: float = 60) -> None:
        path = self.project / "data" / name
        path.write_text("id\n1\n")
        os.utime(path, (time.time() - age_s,) * 2)

    def look(self, now: dt.datetime | None = None) -> list[str]:
        """Look once, and return what was said."""
        self.heard.said.clear()
        self.watch.look(now)
        return list(self.heard.said)

    @property
    def landings(self) -> int:
        with self.catalog.connect() as connection:
            row = connection.execute("select count(*) from lavra.landing_sync").fetchone()
        return int(row[0]) if row else 0

    def connections(self) -> Any:
        return load_connections(self.project)


@pytest.fixture(autouse=True)
def _empty(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        connection.execute(
            "truncate lavra.landing_stream, lavra.landing_sync, lavra.landing_file, "
            "lavra.landing_schema, lavra.landing_attempt"
        )


def test_a_schedule_is_carried_out_once_a_tick(project: Path, catalog: Catalog) -> None:
    lake = Lake(project, catalog, **DAILY)
    lake.write("a.csv")
    said = lake.look(SIX + HOUR)
    assert said == ["stock: due since 2099-11-21 06:00:00 UTC", "models after ['stock']"]
    assert lake.look(SIX + 2 * HOUR) == []
    lake.start()  # another process: it only makes sure that the models are up to date
    assert lake.look(SIX + 3 * HOUR) == ["models after []"]
    assert lake.look(SIX + 25 * HOUR)[0] == "stock: due since 2099-11-22 06:00:00 UTC"
    assert lake.landings == 2


def test_what_failed_waits_for_the_next_tick(project: Path, catalog: Catalog) -> None:
    lake = Lake(project, catalog, **DAILY)  # without a file
    [result] = lake.watch.look(SIX)
    assert "no file is called" in str(result.error)
    assert lake.watch.look(SIX + HOUR) == []
    assert lake.watch.look(SIX + 24 * HOUR) != []


def test_an_attempt_whose_process_died_is_repeated(project: Path, catalog: Catalog) -> None:
    lake = Lake(project, catalog, **DAILY)
    assert claim(catalog, "stock", tick=SIX)
    assert not claim(catalog, "stock", tick=SIX)  # two watches at once: one of them lands
    with catalog.connect() as connection:
        connection.execute("update lavra.landing_attempt set begun_at = now() - interval '1 hour'")
    with connection_lock(catalog, "stock"):  # it runs
        assert due(catalog, lake.connections(), SIX) == []
    [one] = due(catalog, lake.connections(), SIX)
    assert claim(catalog, "stock", tick=one.tick)
    finish(catalog, "stock")
    assert due(catalog, lake.connections(), SIX) == []
    assert not claim(catalog, "stock", tick=SIX)


def test_what_was_landed_by_hand_since_the_tick_is_not_due(project: Path, catalog: Catalog) -> None:
    lake = Lake(project, catalog, **DAILY)
    lake.write("a.csv")
    [connection] = lake.connections()
    yesterday = dt.datetime.now(dt.UTC)
    run_connection(lake.watch.settings, catalog, lake.watch.storage, connection)
    assert due(catalog, [connection], yesterday) == []
    assert due(catalog, [connection], yesterday + 24 * HOUR) != []


def test_new_files_are_landed_once_they_are_still(project: Path, catalog: Catalog) -> None:
    lake = Lake(project, catalog)
    assert lake.look() == ["models after []"]
    lake.write("a.csv", age_s=0)
    assert lake.look() == []
    lake.write("a.csv")
    assert lake.look() == ["stock: its files changed", "models after ['stock']"]
    assert lake.look() == []
    lake.start()
    assert lake.look() == ["models after []"]  # a restart lands nothing again
    lake.write("b.csv")
    assert lake.look() == ["stock: its files changed", "models after ['stock']"]
    assert lake.landings == 2


def test_models_that_failed_are_run_again_later_or_when_more_arrives(
    project: Path, catalog: Catalog
) -> None:
    lake = Lake(project, catalog)
    lake.write("a.csv")
    lake.broken = True
    now = dt.datetime.now(dt.UTC)
    assert lake.look(now)[-1] == "trouble: The models failed: no."
    assert lake.look(now + dt.timedelta(seconds=50)) == []
    after = ["models after ['stock']"]  # the same trouble is told once
    assert lake.look(now + dt.timedelta(seconds=70)) == after
    assert lake.look(now + dt.timedelta(seconds=180)) == []  # two minutes, the second time
    lake.write("b.csv")
    assert lake.look(now + dt.timedelta(seconds=181))[-1] == after[0]
    lake.broken = False
    assert lake.look(now + HOUR) == after
    assert (lake.models, lake.landings) == (1, 2)
    assert lake.look(now + 2 * HOUR) == []


def test_a_finished_job_of_airbyte_is_entered_and_modelled(
    workspace: Workspace, catalog: Catalog
) -> None:
    run = Run(workspace, catalog)
    heard, models = Heard(), []
    watch = Watch(run.settings, catalog, run.storage, heard, lambda: models.append(1))
    assert watch.look() == []
    connection = workspace.airbyte.only("connections")["connectionId"]
    run.jobs.script = ("running", "succeeded")
    number = run.jobs.create(connection, "sync")["jobId"]
    assert watch.look() == []  # it runs: what it has landed is not entered yet
    assert len(models) == 1
    run.jobs.look(number)
    assert {r.stream: r.row_count for r in watch.look()} == {"users": 2, "purchases": 2}
    assert len(models) == 2
    assert watch.look() == []
    again = Watch(run.settings, catalog, run.storage, heard, None)
    assert {r.file_count for r in again.look()} == {0}  # a new process enters nothing twice
    assert (run.files("users"), run.files("purchases")) == (1, 1)


def test_without_the_api_only_what_is_appended_is_entered(
    workspace: Workspace, catalog: Catalog
) -> None:
    run = Run(workspace, catalog)
    run.work({"status": "running", "jobId": 1})
    heard = Heard()
    watch = Watch(load_settings(workspace.project), catalog, run.storage, heard, None)
    results = {r.stream: (r.row_count, r.error) for r in watch.look()}
    assert results["users"] == (2, None)
    assert "overwritten" in str(results["purchases"][1])
    watch.look()
    assert len(heard.said) == 1  # told once
    assert PEOPLE["name"] in heard.said[0]


def test_an_airbyte_that_is_away_is_told_once_and_the_rest_goes_on(
    workspace: Workspace, catalog: Catalog
) -> None:
    run = Run(workspace, catalog)
    folder = workspace.project / "data"
    folder.mkdir()
    (folder / "a.csv").write_text("id\n1\n")
    os.utime(folder / "a.csv", (time.time() - 60,) * 2)
    workspace.declare(PEOPLE, STOCK)
    settings = run.settings.model_copy(update={"airbyte_url": "http://127.0.0.1:9"})
    heard = Heard()
    watch = Watch(settings, catalog, run.storage, heard, None)
    assert [r.stream for r in watch.look()] == ["items"]
    watch.look()
    assert sum("does not" in said for said in heard.said) == 1
