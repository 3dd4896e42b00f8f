"""The whole lake, configured by what Terraform sets and nothing else, on stand-ins for Google."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.infra.cloud_lake import CloudLake, cloud_lake, make_project, start_here

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]


def bring_up(lake: CloudLake) -> str:
    """Land, plan and release as the jobs do; return a key of the service."""
    lake.run("migrate")
    lake.run("land")
    lake.run("apply-models")
    created = lake.run(
        "apply-models", "lavra", "keys", "create", "smoke", "--role=analyst", "--json"
    )
    key: str = json.loads(created)["key"]
    return key


def wait_until_ready(lake: CloudLake, process: Any) -> None:
    """Wait for the startup probe's answer."""
    deadline = time.monotonic() + 240
    url = f"http://127.0.0.1:{lake.service_port}/readyz"
    while True:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the service does not become ready"
        try:
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)


def test_it_lands_plans_releases_and_serves(
    plan_of: Callable[[str], dict[str, Any]], gcs_emulator: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project")
    with cloud_lake(tmp_path, plan_of("dev"), gcs_emulator, start_here(project)) as lake:
        key = bring_up(lake)
        service = lake.start("service")
        try:
            wait_until_ready(lake, service)
            answer = lake.query("select count(*), sum(order_id) from gold_shop.orders", key)
            assert answer.json()["rows"] == [[200, 20100]]
            assert lake.query("select 1", "wrong").status_code == 401
        finally:
            service.terminate()
            service.communicate(timeout=60)
        assert service.returncode == 0
