"""Identity tokens for Cloud Run, from a stand-in held to the metadata server's contract.

What Google publishes: a GET of ``instance/service-accounts/default/identity`` with an audience and
the header ``Metadata-Flavor: Google`` answers a JWT, under the same header; without the header, or
with ``X-Forwarded-For``, it is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import sqlalchemy as sa
from toy_service import ToyService

import lavra_driver
from lavra_driver.google import IdentityTokens, audience_of

PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"
SECRET = "a secret of the stand-in's, of some length"


class MetadataServer:
    """What the stand-in answers with; tests change its attributes.

    Attributes:
        lasts_s: How long its tokens are valid.
        failures: Statuses to answer first.
        flavor: The header that tells it from any other server.
        audiences: Whom tokens were asked for.
    """

    def __init__(self) -> None:
        self.lasts_s = 3600.0
        self.failures: list[int] = []
        self.flavor = "Google"
        self.audiences: list[str] = []
        self.host = ""

    def answer(self, path: str, headers: Any) -> tuple[int, str]:
        asked = urlsplit(path)
        if headers.get("Metadata-Flavor") != "Google" or headers.get("X-Forwarded-For"):
            return 403, "Missing Metadata-Flavor:Google header."
        if asked.path != PATH:
            return 404, "not found"
        audience = parse_qs(asked.query).get("audience", [""])[0]
        if not audience:
            return 400, "non-empty audience parameter required"
        if self.failures:
            return self.failures.pop(0), "try again"
        self.audiences.append(audience)
        claims = {"aud": audience, "exp": time.time() + self.lasts_s, "n": len(self.audiences)}
        return 200, jwt.encode(claims, SECRET, "HS256")


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataServer]:
    """A running stand-in, in the place of Google's own."""
    state = MetadataServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            status, body = state.answer(self.path, self.headers)
            self.send_response(status)
            self.send_header("Metadata-Flavor", state.flavor)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    state.host = f"127.0.0.1:{server.server_port}"
    monkeypatch.setattr("lavra_driver.google.METADATA_HOST", state.host)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_token_goes_to_cloud_run_and_to_the_service(
    metadata: MetadataServer, service: ToyService
) -> None:
    engine = sa.create_engine(f"lavra://127.0.0.1:{service.port}/prod?auth=google")
    with engine.connect() as connection:
        for _ in range(3):
            assert connection.execute(sa.text("select 1")).scalar() == 1
    engine.dispose()
    assert metadata.audiences == [f"http://127.0.0.1:{service.port}"]
    for _, _, headers, _ in service.requests:
        scheme, token = headers["X-Serverless-Authorization"].split()
        claims = jwt.decode(token, SECRET, ["HS256"], audience=metadata.audiences[0])
        assert (scheme, claims["n"]) == ("Bearer", 1)
        assert headers["Authorization"] == headers["X-Serverless-Authorization"]


def test_beside_a_key(metadata: MetadataServer, service: ToyService) -> None:
    url = "https://lake.example.com"
    with lavra_driver.connect(
        service.url, api_key="the-key", auth="google", audience=url
    ) as connection:
        connection.execute("select 1")
    headers = service.requests[-1][2]
    assert headers["Authorization"] == "Bearer the-key"
    assert headers["X-Serverless-Authorization"].startswith("Bearer ey")
    assert metadata.audiences == [url]


def test_one_thread_fetches_for_all(metadata: MetadataServer) -> None:
    tokens = IdentityTokens("https://a.run.app")
    with ThreadPoolExecutor(8) as threads:
        got = set(threads.map(lambda _: tokens(), range(32)))
    assert len(got) == len(metadata.audiences) == 1


def test_renewed_before_the_end_and_used_on_while_valid(metadata: MetadataServer) -> None:
    tokens = IdentityTokens("https://a.run.app")
    metadata.lasts_s = 60  # less than the time before the end at which one is renewed
    first = tokens()
    second = tokens()
    assert first != second
    metadata.failures = [503, 503, 503]
    assert tokens() == second  # valid still
    tokens._ends_at = 0
    metadata.failures = [503, 503, 503]
    with pytest.raises(lavra_driver.OperationalError, match="HTTP 503"):
        tokens()
    metadata.failures = [503, 429]
    assert tokens() not in {first, second}  # the third try


@pytest.mark.parametrize(
    ("flavor", "failures", "message"),
    [("nginx", [], "not Google's"), ("Google", [404], "HTTP 404"), ("Google", [403], "HTTP 403")],
)
def test_refusals(metadata: MetadataServer, flavor: str, failures: list[int], message: str) -> None:
    metadata.flavor, metadata.failures = flavor, failures
    with pytest.raises(lavra_driver.OperationalError, match=message):
        IdentityTokens("https://a.run.app")()
    assert not metadata.failures  # what will not change is not asked for again


def test_elsewhere_it_says_so() -> None:
    with pytest.raises(lavra_driver.OperationalError, match="on Google Cloud alone"):
        IdentityTokens("https://a.run.app", "127.0.0.1:9")()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth": "aws"}, "can be 'google'"),
        ({"audience": "https://x"}, "audience is for"),
        ({"auth": "google", "host": "lake.example.com"}, "needs https"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(lavra_driver.InterfaceError, match=message):
        lavra_driver.connect(**options)


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://a.run.app:443", "https://a.run.app"),
        ("https://a.run.app/x", "https://a.run.app"),
        ("https://a.run.app:8443", "https://a.run.app:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_audience(url: str, audience: str) -> None:
    assert audience_of(url) == audience
