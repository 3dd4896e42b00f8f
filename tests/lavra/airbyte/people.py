"""A connection that a real Airbyte lands, and a way to run it; for tests."""

from __future__ import annotations

from typing import Any

from lavra.airbyte.jobs import Job
from lavra.airbyte.run import land_connection
from lavra.catalog import Catalog
from lavra.landing.connections import load_connections
from lavra.landing.manifest import current_paths
from lavra.landing.run import Quiet, StreamResult
from lavra.settings import load_settings
from lavra.storage import LakeStorage, open_storage
from tests.lavra.airbyte.conftest import Workspace
from tests.lavra.airbyte.contract_server import CLIENT, WORKSPACE
from tests.lavra.landing.airbyte_files import V2, land, v2_row

EPOCH = 1_767_312_000_000
PEOPLE: dict[str, Any] = {
    "name": "people", "description": "d", "owner": "o",
    "source": {"connector": "faker", "config": {"count": 5}},
    "destination": {"name": "lake", "dialect": "v2"},
    "streams": [
        {"name": "users", "sync_mode": "full_refresh_append"},
        {"name": "purchases", "sync_mode": "full_refresh_overwrite"},
    ],
}  # fmt: skip


class Heard(Quiet):
    def __init__(self) -> None:
        self.jobs: list[tuple[str, bool]] = []

    def job(self, connection: str, job: Job, *, joined: bool) -> None:
        assert connection == "people"
        self.jobs.append((job.status, joined))


class Run:
    """An applied connection, whose jobs land two rows a stream as they begin to run."""

    def __init__(self, workspace: Workspace, catalog: Catalog) -> None:
        self.workspace, self.catalog = workspace, catalog
        self.settings = load_settings(
            workspace.project, airbyte_url=workspace.url, airbyte_workspace_id=WORKSPACE,
            airbyte_client_id=CLIENT[0], airbyte_client_secret=CLIENT[1],
            airbyte_poll_seconds=0.01,
        )  # fmt: skip
        self.storage: LakeStorage = open_storage(self.settings)
        self.heard = Heard()
        self.jobs = workspace.airbyte.jobs
        self.jobs.on_status = self.work
        workspace.declare(PEOPLE)
        workspace.apply()
        with catalog.connect() as connection:
            connection.execute(
                "truncate lavra.landing_stream, lavra.landing_sync, lavra.landing_file, "
                "lavra.landing_schema"
            )

    def work(self, job: dict[str, Any]) -> None:
        if job["status"] == "running":
            for stream in ("users", "purchases"):
                rows = [v2_row(n, generation=job["jobId"]) for n in (1, 2)]
                epoch = EPOCH + 1000 * job["jobId"]
                land(self.storage, rows, V2, epoch=epoch, folder=f"bronze/people/{stream}")

    def __call__(self, **options: Any) -> dict[str, StreamResult]:
        self.heard = Heard()
        [connection] = load_connections(self.workspace.project)
        results = land_connection(
            self.settings, self.catalog, self.storage, connection, self.heard, **options
        )
        return {result.stream: result for result in results}

    def files(self, stream: str) -> int:
        return len(current_paths(self.catalog, "people", stream))
