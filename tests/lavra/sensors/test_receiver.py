"""Events that are pushed: who may, what they start, and that nothing is lost or done twice."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from lavra.catalog import Catalog
from lavra.catalog.locks import RECEIVER_LOCK, advisory_lock
from lavra.cli.receive import check_senders, senders
from lavra.errors import CatalogUnavailable, ConfigurationError
from lavra.sensors import receiver as module
from lavra.sensors.arrivals import make_routes, pending
from lavra.sensors.events import ObjectEvent
from lavra.sensors.receiver import Receiver, Senders, create_app
from lavra.settings import Settings
from lavra.storage import open_storage
from tests.conftest import free_port
from tests.lavra.airbyte.conftest import Workspace
from tests.lavra.airbyte.people import Run
from tests.lavra.sensors.test_events import DATA, HEADERS, pushed
from tests.lavra.sensors.test_watch import Heard, Lake, _empty
from tests.oidc_provider import Provider, running_provider

__all__ = ["_empty"]  # a fixture
ROBOT = "pusher@project.iam.gserviceaccount.com"


class Client:
    """Asks a service without a socket; as a context manager, it runs all of the service."""

    def __init__(self, receiver: Receiver, senders: Senders) -> None:
        app, self._senders = create_app(receiver, senders), senders
        self._runner, self._service = asyncio.Runner(), app.router.lifespan_context(app)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 5))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def __enter__(self) -> None:
        self._runner.run(self._service.__aenter__())

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._service.__aexit__(None, None, None))

    def post(self, path: str, **sent: Any) -> httpx.Response:
        return self._runner.run(self._http.post(path, **sent))

    def get(self, path: str) -> httpx.Response:
        return self._runner.run(self._http.get(path))

    def close(self) -> None:
        self._runner.run(self._http.aclose())
        self._runner.run(self._senders.close())
        self._runner.close()


class Pushed:
    """A lake whose connection reads a bucket, and its receiver."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.storage = open_storage(settings)
        source = {"connector": "jsonl", "config": {"root": f"{self.storage.url}/in"}}
        streams = [{"name": "items", "path": "*.jsonl", "sync_mode": "full_refresh_append"}]
        self.lake = Lake(settings.project, catalog, source=source, streams=streams)
        self.settings, self.catalog = settings, catalog
        self.client: Any = None
        self.restart()

    def restart(self) -> None:
        self.lake.watch = self.lake.watching(self.settings)
        self.receiver = Receiver(self.lake.watch)
        if self.client:
            self.client.close()
        self.client = Client(self.receiver, senders(self.settings))

    def write(self, name: str) -> dict[str, str]:
        with self.storage.publish(f"in/{name}") as file:
            file.write(b'{"id": 1}')
        bucket, _, prefix = self.storage.root.partition("/")
        return {"bucket": bucket, "name": f"{prefix}/in/{name}"}

    def send(self, data: Any, number: str = "1", **headers: str) -> int:
        sent = HEADERS | {"ce-id": number} | headers
        return self.client.post("/", content=json.dumps(data), headers=sent).status_code

    def step(self) -> float:
        return self.receiver.step(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1))

    @property
    def waiting(self) -> int:
        found = pending(self.catalog)
        return 0 if found is None else sum(map(len, found.connections.values()))


@pytest.fixture
def bucket(gcs_settings: Settings, catalog: Catalog) -> Iterator[Pushed]:
    with catalog.connect() as connection:
        connection.execute("truncate lavra.landing_event")
    pushed_to = Pushed(gcs_settings, catalog)
    yield pushed_to
    pushed_to.client.close()


def test_a_burst_of_events_in_any_order_starts_one_landing_and_the_models(bucket: Pushed) -> None:
    written = [bucket.write(f"{number}.jsonl") for number in range(3)]
    before = dt.datetime.now(dt.UTC)
    for number, data in reversed(list(enumerate(written))):
        assert bucket.send(data, str(number)) == 204
        assert bucket.send(data, str(number)) == 204  # delivered twice
    assert bucket.waiting == 3
    assert bucket.receiver.step(before) >= 5  # more may come
    assert bucket.lake.landings == 0
    bucket.step()
    assert (bucket.lake.landings, bucket.lake.models, bucket.waiting) == (1, 1, 0)
    assert bucket.send(written[0], "0") == 204  # and much later again
    assert bucket.waiting == 0
    bucket.step()
    assert (bucket.lake.landings, bucket.lake.models) == (1, 1)


def test_what_nobody_depends_on_is_answered_and_forgotten(bucket: Pushed) -> None:
    written = bucket.write("a.jsonl")
    for data in (
        written | {"name": written["name"] + ".txt"},
        written | {"name": written["name"].replace("/in/", "/in/deeper/")},
        written | {"bucket": "another"},
        written | {"name": "../../etc/passwd"},
    ):
        assert bucket.send(data) == 204
    assert bucket.send(DATA, **{"ce-type": "google.cloud.storage.object.v1.deleted"}) == 204
    assert bucket.waiting == 0


def test_a_hostile_request_is_refused(bucket: Pushed) -> None:
    data = bucket.write("a.jsonl")
    assert bucket.send([]) == 422
    assert bucket.send({"bucket": "b"}) == 422
    assert bucket.send(data, **{"content-type": "text/plain"}) == 415
    assert bucket.send("x" * module.MOST_BYTES) == 413
    assert bucket.send(data, host="evil.example") == 401  # a name that points here
    assert bucket.send(data, origin="http://127.0.0.1") == 401  # a page of a browser
    assert bucket.send(data, **{"x-forwarded-for": "10.0.0.1"}) == 401
    for path in ("/docs", "/openapi.json", "/anything"):
        assert bucket.client.get(path).status_code == 404
    assert bucket.client.get("/").status_code == 405
    assert bucket.client.get("/healthz").status_code == 200
    assert bucket.waiting == 0


def test_an_event_that_cannot_be_kept_must_be_sent_again(
    bucket: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bucket.write("a.jsonl")

    def away(*_: Any) -> bool:
        raise CatalogUnavailable("The catalog is away.")

    with monkeypatch.context() as patch:
        patch.setattr(module, "record", away)
        assert bucket.send(data) == 503
    assert bucket.send(data) == 204
    assert bucket.waiting == 1


def test_what_a_killed_receiver_left_is_done_by_the_next(bucket: Pushed) -> None:
    bucket.send(bucket.write("a.jsonl"))
    bucket.restart()  # killed after its answer
    bucket.lake.broken = True
    assert bucket.step() == 60  # the models failed
    assert (bucket.lake.landings, bucket.waiting) == (1, 1)
    bucket.lake.broken = False
    bucket.restart()  # killed between landing and models
    bucket.step()
    assert (bucket.lake.models, bucket.waiting) == (1, 0)


def test_a_landing_that_fails_is_tried_again_ever_later(bucket: Pushed) -> None:
    data = bucket.write("a.jsonl")
    bucket.send(data)
    bucket.storage.delete(["in/a.jsonl"])  # gone again: no file is called *.jsonl
    assert [bucket.step(), bucket.step()] == [60, 120]
    assert bucket.waiting == 1
    bucket.write("a.jsonl")
    bucket.step()
    assert (bucket.lake.models > 0, bucket.waiting) == (True, 0)


def test_one_of_several_receivers_acts(bucket: Pushed) -> None:
    bucket.send(bucket.write("a.jsonl"))
    with advisory_lock(bucket.catalog, RECEIVER_LOCK):
        assert bucket.step() == 5
    assert bucket.lake.landings == 0
    bucket.step()
    assert bucket.lake.landings == 1


def test_a_connection_that_is_gone_holds_nothing_up(bucket: Pushed) -> None:
    bucket.send(bucket.write("a.jsonl"))
    (bucket.settings.project / "airbyte" / "connections" / "stock.yaml").unlink()
    bucket.step()
    assert (bucket.lake.landings, bucket.waiting) == (0, 0)


def test_the_service_acts_by_itself(bucket: Pushed) -> None:
    bucket.receiver.settle_s = 0.0
    data = bucket.write("a.jsonl")
    with bucket.client:
        assert bucket.client.post("/", json=pushed(
            bucketId=data["bucket"], objectId=data["name"])).status_code == 204  # fmt: skip
        until = time.monotonic() + 120
        while bucket.waiting and time.monotonic() < until:
            time.sleep(0.05)
    assert (bucket.lake.landings, bucket.lake.models) == (1, 1)


@pytest.mark.soak
def test_objects_of_a_job_of_airbyte_wait_until_it_is_over(
    workspace: Workspace, catalog: Catalog
) -> None:
    with catalog.connect() as connection:
        connection.execute("truncate lavra.landing_event")
    run = Run(workspace, catalog)
    heard, models = Heard(), []
    watch = module_watch(run, catalog, heard, models)
    receiver = Receiver(watch, settle_s=0.0)
    receiver._routes_at = time.monotonic() + 1e6
    routed = ObjectEvent("1", "lake", "x")
    receiver._routes = type("All", (), {"connections": lambda *_: ["people"]})()
    run.jobs.script = ("running", "succeeded")
    number = run.jobs.create(workspace.airbyte.only("connections")["connectionId"], "sync")["jobId"]
    body = json.dumps({"bucket": routed.bucket, "name": routed.name}).encode()
    assert receiver.accept(HEADERS, body)
    assert receiver.step() == run.settings.airbyte_poll_seconds
    assert pending(catalog) is not None
    run.jobs.look(number)
    receiver.step()
    assert pending(catalog) is None
    assert (run.files("users"), run.files("purchases")) == (1, 1)
    assert models


def module_watch(run: Run, catalog: Catalog, heard: Heard, models: list[int]) -> Any:
    from lavra.sensors.watch import Watch

    return Watch(run.settings, catalog, run.storage, heard, lambda: models.append(1))


def test_routes_know_what_airbyte_lands(gcs_settings: Settings) -> None:
    from lavra.landing.connections import Connection

    declared = {
        "name": "crm", "description": "d", "owner": "o", "source": {"connector": "stripe"},
        "destination": {"dialect": "v2"}, "streams": [{"name": "charges"}],
    }  # fmt: skip
    bucket, _, root = gcs_settings.resolved_lake_url.removeprefix("gs://").partition("/")
    routes = make_routes(gcs_settings, [Connection.model_validate(declared)])
    folder = f"{root}/bronze/crm/charges"
    for name, found in (
        (f"{folder}/2026_01_01_1_0.parquet", ["crm"]), (f"{folder}2/x.parquet", []),
        (f"{root}/bronze/other/charges/x.parquet", []), (f"x/{folder}/x.parquet", []),
    ):  # fmt: skip
        assert routes.connections(ObjectEvent("1", bucket, name)) == found
    assert routes.connections(ObjectEvent("1", "other", f"{folder}/x.parquet")) == []


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


def claims(provider: Provider, **changed: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": provider.issuer, "aud": "https://receiver.example", "sub": "1", "email": ROBOT,
        "email_verified": True, "iat": now, "exp": now + 300,
    } | changed  # fmt: skip


def test_only_a_named_sender_with_googles_token_may_push(
    bucket: Pushed, provider: Provider
) -> None:
    bucket.settings = bucket.settings.model_copy(update={
        "oidc_issuers": (provider.issuer,), "oidc_audiences": ("https://receiver.example",),
        "receiver_senders": (ROBOT,),
    })  # fmt: skip
    bucket.restart()
    data = bucket.write("a.jsonl")

    def send(**changed: Any) -> int:
        token = provider.sign(claims(provider, **changed))
        return bucket.send(data, authorization=f"Bearer {token}")

    assert bucket.send(data) == 401  # not even from loopback
    assert bucket.send(data, authorization="Bearer x.y.z") == 401
    assert bucket.send(data, authorization="Basic abc") == 401
    assert bucket.send(data, authorization="Bearer " + "x" * 10_000) == 401
    assert send(aud="https://another.example") == 401
    assert send(exp=int(time.time()) - 300) == 401
    assert send(email_verified=False) == 401
    assert send(email_verified=None) == 401
    assert send(iss="https://accounts.example") == 401
    assert send(email="somebody@gmail.com") == 403  # anybody can have such a token made
    assert bucket.waiting == 0
    assert send() == 204
    assert bucket.waiting == 1


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"receiver_host": "0.0.0.0"}, "LAVRA_OIDC_ISSUERS"),  # noqa: S104 - what is refused
        ({"oidc_issuers": ("https://accounts.google.com",)}, "LAVRA_OIDC_AUDIENCES"),
        ({"oidc_issuers": ("https://accounts.google.com",), "oidc_audiences": ("a",)},
         "LAVRA_RECEIVER_SENDERS"),
    ],
)  # fmt: skip
def test_nothing_listens_where_nobody_could_be_told_apart(
    settings: Settings, changed: dict[str, Any], missing: str
) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        check_senders(settings.model_copy(update=changed))
    check_senders(settings)  # loopback


@pytest.mark.soak
def test_the_command_lands_what_is_pushed(bucket: Pushed) -> None:
    port = free_port()
    command = [sys.executable, "-m", "lavra", "ingest", "receive", "--port", str(port),
               "--no-models"]  # fmt: skip
    known = bucket.catalog._parameters
    environment = os.environ | {
        "LAVRA_PROJECT": str(bucket.settings.project),
        "LAVRA_CATALOG_URL": f"postgresql://postgres@/{known['dbname']}?host={known['host']}",
    }
    run = subprocess.Popen(command, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 120
        while time.monotonic() < until and run.poll() is None:
            try:
                if httpx.get(f"{url}/healthz", trust_env=False).is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        data = bucket.write("a.jsonl")
        answer = httpx.post(url, json=data, headers=HEADERS, trust_env=False)
        assert answer.status_code == 204
        while time.monotonic() < until and not (bucket.lake.landings and not bucket.waiting):
            time.sleep(0.2)
        assert (bucket.lake.landings, bucket.waiting) == (1, 0)
    finally:
        run.terminate()
        assert run.wait(timeout=60) in {0, -15}
