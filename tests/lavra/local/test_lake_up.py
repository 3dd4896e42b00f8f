"""`lavra up` for real, without Superset, on a small project that `lavra init` wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from lavra.local.postgres_servers import server_pid
from lavra.local.run_file import RunFile
from tests.conftest import free_port

pytestmark = pytest.mark.timeout(900)

SALES = "sale_id,sold_on,channel,amount\n1,2026-01-01,web,10.50\n2,2026-01-02,shop,7.25\n"
TOTAL = "select count(*) as sales, cast(sum(amount) as double) as total from gold_tiny.sales"


@dataclass
class Project:
    """A small lake and the commands of a person in its folder."""

    root: Path
    port: int

    @property
    def state(self) -> Path:
        return self.root / ".lavra"

    def lavra(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lavra", *words],
            cwd=self.root, capture_output=True, text=True, check=False, env=clean_environment(),
        )  # fmt: skip

    def up(self) -> subprocess.CompletedProcess[str]:
        done = self.lavra("up", "--no-superset", "--detach", "--service-port", str(self.port))
        assert done.returncode == 0, done.stderr + self.logs()
        return done

    def logs(self) -> str:
        return "\n".join(log.read_text() for log in (self.state / "logs").glob("*.log"))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.lavra("status", "--json").stdout)
        return found

    def totals(self) -> list[Any]:
        done = self.lavra("sql", TOTAL, "--json")
        assert done.returncode == 0, done.stderr
        [row] = json.loads(done.stdout)["rows"]
        return list(row)

    def processes(self) -> list[str]:
        found = []
        for process in psutil.process_iter(["cmdline", "status", "cwd"]):
            words = " ".join(process.info["cmdline"] or ())
            inside = str(self.root) in words or process.info["cwd"] == str(self.root)
            if inside and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(words)
        return found


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LAVRA_")}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("init")
    (folder / "sales.csv").write_text(SALES)
    subprocess.run(
        [sys.executable, "-m", "lavra", "init", "tiny", "--csv", "sales.csv"],
        cwd=folder, check=True, capture_output=True, env=clean_environment(),
    )  # fmt: skip
    project = Project(folder / "tiny", free_port())
    yield project
    project.lavra("down")
    assert project.processes() == []


def test_before_the_first_start_all_is_down_and_the_status_starts_nothing(lake: Project) -> None:
    status = lake.status()

    assert status["up"] is None
    assert status["catalog"]["running"] is False
    assert status["streams"] is None
    assert status["service"]["running"] is False
    assert not lake.state.exists()


def test_a_first_start_serves_what_the_source_holds(lake: Project) -> None:
    done = lake.up()

    assert "Ready." in done.stderr
    assert f"curl -s http://127.0.0.1:{lake.port}/v1/sql" in done.stderr
    assert lake.totals() == [2, 17.75]
    status = lake.status()
    assert status["up"]["phase"] == "ready"
    assert [process["running"] for process in status["up"]["processes"]] == [True]
    assert status["service"]["ready"] is True
    assert status["service"]["url"] == f"http://127.0.0.1:{lake.port}"
    [release] = status["releases"]
    assert (release["environment"], str(release["id"])) == ("prod", status["service"]["snapshot"])
    assert status["blocked"] == []
    assert [stream["row_count"] for stream in status["streams"]] == [2]


def test_a_second_start_beside_it_is_refused(lake: Project) -> None:
    done = lake.lavra("up", "--no-superset", "--detach")

    assert done.returncode == 1
    assert f"at http://127.0.0.1:{lake.port}" in done.stderr


def test_the_catalog_is_started_again_when_it_is_killed(lake: Project) -> None:
    before = server_pid(lake.state / "postgres")
    assert before is not None
    os.kill(before, signal.SIGQUIT)
    deadline = time.monotonic() + 60
    while server_pid(lake.state / "postgres") in {None, before}:
        assert time.monotonic() < deadline
        time.sleep(0.2)

    assert lake.totals() == [2, 17.75]


def test_down_leaves_no_process_and_status_says_so(lake: Project) -> None:
    assert "service" in lake.lavra("down").stdout

    assert lake.processes() == []
    assert lake.status()["up"] is None


def test_a_later_start_serves_at_once_and_then_what_is_new(lake: Project) -> None:
    with (lake.root / "data" / "sales.csv").open("a") as file:
        file.write("3,2026-01-03,web,2.25\n")
    done = lake.up()

    said = done.stderr
    assert said.index("Ready.") < said.index("ok Land the sources")
    assert "The lake is up to date." in said
    assert lake.totals() == [3, 20.0]
    assert lake.status()["up"]["refresh"] == "done"


def test_after_a_kill_nothing_is_left_and_the_next_start_works(lake: Project) -> None:
    running = RunFile(lake.state).running()
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while lake.processes():
        assert time.monotonic() < deadline, lake.processes()
        time.sleep(0.2)

    lake.up()
    assert lake.totals() == [3, 20.0]


def test_a_refresh_that_fails_says_so_and_the_last_release_stays(lake: Project) -> None:
    lake.lavra("down")
    source = lake.root / "data" / "sales.csv"
    kept = source.read_text()
    source.unlink()
    done = lake.up()
    source.write_text(kept)

    assert "The refresh failed; the last release stays." in done.stderr
    assert lake.status()["up"]["refresh"].startswith("failed: landing")
    assert lake.totals() == [3, 20.0]
    assert lake.lavra("down").returncode == 0


def test_models_that_changed_are_planned_before_anything_is_served(lake: Project) -> None:
    [model] = (lake.root / "sqlmesh_project" / "models" / "gold").rglob("sales.sql")
    model.write_text(model.read_text() + "\nthis is no SQL\n")
    done = lake.lavra("up", "--no-superset", "--detach", "--service-port", str(lake.port))

    assert done.returncode == 1
    assert "models ended with status" in done.stderr
    assert str(lake.state / "logs" / "models.log") in done.stderr
    assert lake.processes() == []
