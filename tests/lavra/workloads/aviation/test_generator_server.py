"""The generator as a service: bounded, validated, and closed to those who have no business."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI

from lavra.errors import ConfigurationError
from lavra.settings import load_settings
from lavra.workloads.aviation.server import create_app
from lavra.workloads.aviation.source import AviationSource, ensure_source, leave


@contextmanager
def client_of(app: FastAPI) -> Iterator[httpx.Client]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generator")
    (folder / "lavra.toml").write_text('name = "fleet"\n', encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def source(project: Path) -> Iterator[AviationSource]:
    settings = load_settings(project, workload_scale=0.04)
    yield ensure_source(settings)
    leave(settings)


def events(source: AviationSource) -> int:
    with psycopg.connect(source.url) as connection:
        return int(
            connection.execute("select max(event_id) from maintenance_events").fetchall()[0][0]
        )


def test_events_are_recorded(project: Path, source: AviationSource) -> None:
    before = events(source)
    with client_of(create_app(load_settings(project), source.url)) as client:
        assert client.post("/generate").json()["inserted"]["maintenance_events"] in {10, 11}
        answer = client.post("/generate", params={"n": 50})
        assert answer.status_code == 200
        assert events(source) - before in range(60, 63)
        for wrong in ("0", "-1", "10001", "many"):
            assert client.post("/generate", params={"n": wrong}).status_code == 422
        assert client.get("/generate").status_code == 405
        assert client.get("/healthz").json() == {"status": "up"}
        # A page in a browser may reach loopback under a name of its own.
        assert client.post("/generate", headers={"Host": "evil.test"}).status_code == 400


def test_beyond_loopback_only_with_a_token(project: Path, source: AviationSource) -> None:
    with pytest.raises(ConfigurationError, match="LAVRA_GENERATOR_TOKEN"):
        create_app(load_settings(project, generator_host="0.0.0.0"), source.url)  # noqa: S104
    settings = load_settings(project, generator_host="0.0.0.0", generator_token="much-secret")  # noqa: S104
    with client_of(create_app(settings, source.url)) as client:
        assert client.post("/generate").status_code == 401
        wrong = {"Authorization": "Bearer much-secres"}
        assert client.post("/generate", headers=wrong).status_code == 401
        right = {"Authorization": "Bearer much-secret", "Host": "fleet.example"}
        assert client.post("/generate?n=1", headers=right).status_code == 200


def test_a_database_that_is_away(project: Path) -> None:
    app = create_app(load_settings(project), "postgresql://u:sesame@127.0.0.1:1/none")
    with client_of(app) as client:
        answer = client.post("/generate")
    assert answer.status_code == 503
    assert "sesame" not in answer.text


def test_events_come_by_themselves(project: Path, source: AviationSource) -> None:
    before = events(source)
    with client_of(create_app(load_settings(project, generator_rate=20), source.url)):
        deadline = time.monotonic() + 60
        while events(source) < before + 10:
            assert time.monotonic() < deadline
            time.sleep(0.1)
