"""The images, built and run: the whole lake of jobs and service, and Superset over it."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lavra.dashboards.client import SupersetClient
from lavra.dashboards.superset import Credentials
from tests.infra.cloud_lake import CloudLake, Starter, cloud_lake, make_project
from tests.infra.containers import Image, check_tools, ensure_base
from tests.infra.test_lake_on_google import bring_up, wait_until_ready
from tests.infra.test_sbom import bill_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

# 24 million rows: a second or two, well inside what a stop leaves.
SLOW = (
    "select sum(a.order_id + b.order_id + c.order_id) from gold_shop.orders a, gold_shop.orders b,"
    " gold_shop.orders c, (values (1), (2), (3)) d"
)
READ_THE_POLICY = (
    "import pathlib, lavra.access.policy as p; assert p.load_policy(pathlib.Path.cwd())"
)
# The receiver, with its check of tokens, and aviation's generator.
SERVED_BY_THE_JOBS_IMAGE = (
    "lavra.sensors.receiver", "lavra.workloads.aviation.server", "query_service.issuers",
    "query_service.sockets",
)  # fmt: skip
# What the images may weigh, in MiB, with a base of 230.
MOST_MEGABYTES = {"job": 1100, "service": 950, "superset": 2000}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Image]]:
    """The three images."""
    check_tools()
    folder = tmp_path_factory.mktemp("images")
    ensure_base(folder)
    built = {name: Image(name, folder) for name in MOST_MEGABYTES}
    yield built
    for image in built.values():
        image.remove()


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Leave no process behind."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def start_in(images: dict[str, Image], project: Path) -> Starter:
    """Return a starter of containers, in which a project of one's own replaces the shipped one."""

    def start(
        part: str, words: Sequence[str], variables: dict[str, str], mounts: dict[str, str]
    ) -> subprocess.Popen[str]:
        image = images.get(part.removesuffix("-bootstrap"), images["job"])
        binds = {path: folder for path, folder in mounts.items() if path != "/var/lavra"}
        return image.start(words, variables, {**binds, "/opt/project": str(project)})

    return start


def test_they_are_small_and_run_as_nobody(images: dict[str, Image]) -> None:
    for name, image in images.items():
        assert image.config["User"] == "10001:10001"
        assert image.megabytes < MOST_MEGABYTES[name], f"{name}: {image.megabytes} MiB"
        tried = image.start(["sh", "-c", "id -u; touch /opt/x /tmp/x; touch /var/lavra/x"], {}, {})
        said, complaint = tried.communicate(timeout=60)
        assert said == "10001\n"
        assert complaint.count("Read-only file system") == 2
        assert tried.returncode == 0


def test_the_shipped_project_is_in_them(images: dict[str, Image]) -> None:
    for name, words in (
        ("job", ["lavra", "ingest", "lint"]),
        ("job", ["lavra", "stream", "lint"]),
        ("job", ["python", "-c", f"import {', '.join(SERVED_BY_THE_JOBS_IMAGE)}"]),
        ("service", ["python", "-c", READ_THE_POLICY]),
        ("superset", ["lavra", "dashboards", "lint"]),
    ):
        tried = images[name].start(words, {}, {})
        said, complaint = tried.communicate(timeout=280)
        assert tried.returncode == 0, f"{name}: {said}{complaint}"


def test_their_bills_name_what_is_in_them(images: dict[str, Image]) -> None:
    expected = {
        "job": {"pkg:pypi/sqlmesh@", "pkg:pypi/fastapi@"},
        "service": {"pkg:pypi/datafusion@"},
        "superset": {"pkg:pypi/apache-superset@", "pkg:pypi/lavra-driver@"},
    }
    for name, image in images.items():
        urls = {component["purl"] for component in bill_of(image.root, name)["components"]}
        for start in (*expected[name], "pkg:pypi/duckdb@", "pkg:deb/debian/libc6@"):
            assert any(url.startswith(start) for url in urls), (name, start)


def test_the_lake_runs_in_them(
    images: dict[str, Image],
    plan_of: Callable[[str], dict[str, Any]],
    gcs_emulator: str,
    tmp_path: Path,
) -> None:
    """Jobs land, plan and release; the service answers, ends with its queries, within 10 s."""
    project = make_project(tmp_path / "project")
    for path in [tmp_path, *tmp_path.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    (project / "logs").symlink_to("/var/lavra")  # as the job's image has it
    starter = start_in(images, project)
    with cloud_lake(tmp_path, plan_of("dev"), gcs_emulator, starter) as lake:
        for path in lake.volumes.rglob("*"):
            path.chmod(path.stat().st_mode | 0o055)
        key = bring_up(lake)
        with ended(lake.start("service")) as service:
            wait_until_ready(lake, service)
            answer = lake.query("select count(*), sum(order_id) from gold_shop.orders", key)
            assert answer.json()["rows"] == [[200, 20100]]
            look_at_superset(lake, images["superset"])
            drained = ask_aside(lake, key)
            stop_within_10_s(service)
            assert drained() == 200


def look_at_superset(lake: CloudLake, image: Image) -> None:
    """Bring the dashboards, serve them, and see a chart that asks the service."""
    lake.run("superset-bootstrap")
    with ended(lake.start("superset")) as process:
        url = f"http://127.0.0.1:{lake.superset_port}"
        deadline = time.monotonic() + 900
        while True:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "Superset does not become healthy"
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                    break
            time.sleep(0.5)
        password = lake.credentials.secret("lavra-dev-superset-admin-password")
        with SupersetClient(url, Credentials("admin", password)) as client:
            checked = client.check()
        assert checked
        assert [item for item in checked if not item.is_good] == []
        stop_within_10_s(process)
    assert image.config["Healthcheck"]


def stop_within_10_s(process: subprocess.Popen[str]) -> None:
    """Ask a container to stop, as Cloud Run does, which kills it after 10 s."""
    process.terminate()
    asked = time.monotonic()
    process.communicate(timeout=60)
    assert time.monotonic() - asked < 12
    assert process.returncode == 0


def ask_aside(lake: CloudLake, key: str) -> Callable[[], int]:
    """Start a query that takes a while; return a function that waits for its status."""
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(lake.query(SLOW, key).status_code))
    thread.start()
    time.sleep(0.3)

    def wait() -> int:
        thread.join(60)
        return statuses[0]

    return wait
