"""Real connectors: airbyte-cdk with a manifest over an HTTP API, and airbyte-source-faker."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from psycopg.conninfo import make_conninfo

from lavra.landing.connections import Connection
from lavra.landing.connectors.connector import open_connector
from lavra.landing.manifest import current_files
from tests.lavra.landing.connectors.conftest import ConnectorLander
from tests.lavra.landing.connectors.tickets_api import KEY, TicketsApi, serve

HERE = Path(__file__).parent
STREAM = {
    "name": "tickets", "sync_mode": "incremental_deduped_history", "cursor_field": "updated_at",
    "primary_key": "id",
}  # fmt: skip
MANIFEST: dict[str, Any] = {
    "connector": "tickets", "manifest": "sources/tickets.yaml", "command": None,
}  # fmt: skip
FAKER: dict[str, Any] = {"connector": "faker", "version": "7.2.1", "command": None}
FAKER_STREAMS = [
    STREAM | {"name": name} for name in ("products", "users", "purchases")
]  # fmt: skip

# A run in a process of its own, to be killed.
VICTIM = """
import json, sys
from pathlib import Path
from lavra.catalog import Catalog
from lavra.landing.connections import Connection
from lavra.landing.run import run_connection
from lavra.settings import load_settings
from lavra.storage import open_storage

project, catalog_url, declared = sys.argv[1:]
settings = load_settings(Path(project))
results = run_connection(settings, Catalog(catalog_url), open_storage(settings),
                         Connection.model_validate(json.loads(declared)))
sys.exit(any(result.error for result in results))
"""


@pytest.fixture
def real(connectors: ConnectorLander) -> ConnectorLander:
    sources = connectors.settings.project / "airbyte" / "sources"
    sources.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "tickets.yaml", sources)
    shutil.copytree(HERE.parents[3] / "airbyte" / "connectors", sources.with_name("connectors"))
    return connectors


def config(api: TicketsApi) -> dict[str, str]:
    return {"url": api.url, "api_key": KEY, "until": api.until()}


def silver(lander: ConnectorLander, stream: str) -> list[tuple[Any, ...]]:
    """Return id and number of landed versions, deduplicated by key as a Bronze model does."""
    files = current_files(lander.catalog, lander.storage, "test", stream)
    rows = duckdb.execute(
        "select id, count(*) from read_parquet(?, union_by_name => true) group by id order by id",
        [files],
    ).fetchall()
    return [row[0] for row in rows]


@pytest.mark.soak
def test_a_manifest_reads_pages_through_limits_and_faults(real: ConnectorLander) -> None:
    with serve(TicketsApi(1_500, days=3)) as api:
        first = real.land(config(api), STREAM, source=MANIFEST)
        assert (first.error, first.misfit_count) == (None, 0)
        landed = real.landed("tickets")
        assert sorted(landed.column("id").to_pylist()) == list(range(1_500))
        assert landed.column("labels")[0].as_py().startswith('["a",')
        assert {200, 429, 500} <= set(api.statuses)
        log = (real.settings.state / "logs" / "connectors" / "test.log").read_text()
        assert log
        assert KEY not in log

        asked = len(api.statuses)
        api.days, api.count = 4, 2_000
        second = real.land(config(api), STREAM, source=MANIFEST)
        assert second.error is None
        assert silver(real, "tickets") == list(range(2_000))
        assert second.row_count < 1_000  # not from the start
        assert len(api.statuses) > asked


def killed_ten_times(
    lander: ConnectorLander, declared: dict[str, Any], within_s: float, seed: int
) -> int:
    """Kill runs at ten random moments, then let one finish; return how many were cut short."""
    # Its environment is made first: an installation that is killed is another test's matter.
    open_connector(lander.settings, Connection.model_validate(declared)).log.close()
    catalog_url = make_conninfo("", **lander.catalog._parameters)
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    cut = 0
    environment = {
        **os.environ, "LAVRA_CONNECTOR_CHECKPOINT_S": "0.3", "LAVRA_CONNECTOR_RETRY_S": "0.1",
    }  # fmt: skip
    for attempt in range(11):
        run = subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(lander.settings.project), catalog_url,
             json.dumps(declared)], env=environment, cwd=HERE.parents[3],
        )  # fmt: skip
        if attempt == 10:
            assert run.wait(timeout=1200) == 0
            continue
        try:
            run.wait(timeout=rng.uniform(0.5, within_s))
        except subprocess.TimeoutExpired:
            cut += 1
            started = psutil.Process(run.pid).children(recursive=True)
            run.send_signal(signal.SIGKILL)
            run.wait()
            _, alive = psutil.wait_procs(started, timeout=20)
            assert alive == [], "the connector outlived its run"
            time.sleep(0.2)
    return cut


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_manifest_killed_ten_times_lands_all(real: ConnectorLander) -> None:
    with serve(TicketsApi(20_000, days=50)) as api:
        declared = real.declared({}, [STREAM], **MANIFEST)
        declared["source"]["config"] = config(api)
        assert killed_ten_times(real, declared, within_s=12, seed=1) > 5
        assert silver(real, "tickets") == list(range(20_000))
        api.days, api.count = 51, 20_400
        declared["source"]["config"] = config(api)
        last = real.land(config(api), STREAM, source=MANIFEST)
        assert last.error is None
        assert silver(real, "tickets") == list(range(20_400))


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "source",
    [
        {"always_updated": True, "checkpoints": True},
        {"always_updated": False, "checkpoints": False},
    ],
)
def test_the_faker_killed_ten_times_lands_all(
    real: ConnectorLander, source: dict[str, bool]
) -> None:
    declared = real.declared({}, FAKER_STREAMS, **FAKER)
    declared["source"]["checkpoints"] = source["checkpoints"]
    declared["source"]["config"] = {
        "count": 25_000, "seed": 1, "parallelism": 2, "always_updated": source["always_updated"],
    }  # fmt: skip
    assert killed_ten_times(real, declared, within_s=10, seed=2) > 5
    assert silver(real, "products") == list(range(1, 101))
    assert silver(real, "users") == list(range(1, 25_001))
    purchases = silver(real, "purchases")
    assert len(purchases) == 25_000
    again = real.land_all(
        declared["source"]["config"], FAKER_STREAMS,
        source=FAKER | {"checkpoints": source["checkpoints"]},
    )  # fmt: skip
    assert [result.error for result in again] == [None] * 3
    assert silver(real, "purchases") == purchases
    if not source["always_updated"]:
        assert [result.row_count for result in again] == [0, 0, 0]
