"""A service that believes only what is proven, and an issuer of tokens to prove it by."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lavra.access.keys import ApiKey, create_key
from lavra.access.signing import ISSUER, audience, signing_secret
from tests.query_service.conftest import Lake, close_lake, make_lake, serving, wait_until

AUDIENCE = "https://lake.example"


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Issuer:
    """An OpenID Connect issuer on loopback: discovery, keys, tokens.

    Attributes:
        url: Its name.
        keys: Private keys by id; what it publishes.
        extra: Further entries of its key set.
        requests: Paths that were fetched.
        down: Whether it answers 503.
    """

    url: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    extra: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    down: bool = False

    def document(self, path: str) -> dict[str, Any] | None:
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        if path != "/keys":
            return None
        kinds = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256"}
        found = []
        for key_id, key in self.keys.items():
            name = next((alg for kind, alg in kinds.items() if isinstance(key, kind)), "EdDSA")
            public = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
            found.append({**public, "kid": key_id, "use": "sig", "alg": name})
        return {"keys": found + self.extra}

    def token(
        self, key_id: str = "first", *, algorithm: str = "RS256", key: Any = None,
        headers: dict[str, Any] | None = None, **claims: Any,
    ) -> str:  # fmt: skip
        now = int(time.time())
        body = {
            "iss": self.url, "aud": AUDIENCE, "sub": "1", "email": "ana@example.com",
            "email_verified": True, "roles": ["finance"], "iat": now, "exp": now + 300,
        } | claims  # fmt: skip
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(
            body, key or self.keys[key_id], algorithm, headers={"kid": key_id} | (headers or {})
        )


@contextmanager
def issuing() -> Iterator[Issuer]:
    issuer = Issuer(keys={"first": rsa_key()})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.requests.append(self.path)
            found = None if issuer.down else issuer.document(self.path)
            data = json.dumps(found or {}).encode()
            self.send_response(503 if issuer.down else 200 if found else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Closed:
    """A running service without loopback access.

    ``client`` sends no credential; :meth:`ask` sends headers of its own.
    """

    lake: Lake
    client: httpx.Client
    issuer: Issuer
    _addresses: Iterator[int] = field(default_factory=lambda: iter(range(2, 60000)))

    def ask(self, *headers: tuple[str, str], path: str = "/v1/snapshot") -> httpx.Response:
        """GET a path, as a client of an address of its own."""
        number = next(self._addresses)
        seen = ("X-Forwarded-For", f"10.9.{number // 250}.{number % 250}")
        return self.client.get(path, headers=[*headers, seen])

    def bearer(self, text: str, path: str = "/v1/snapshot") -> httpx.Response:
        return self.ask(("Authorization", f"Bearer {text}"), path=path)

    def key(self, name: str, **options: Any) -> tuple[ApiKey, str]:
        """Make a key, and wait until the service knows it."""
        with self.lake.catalog.connect() as connection:
            made, text = create_key(connection, name, **options)
        wait_until(lambda: self.bearer(text).status_code != 401)
        return made, text

    def signed(self, secret: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
        """Return what Superset would sign."""
        now = int(time.time())
        body = {
            "iss": ISSUER, "aud": audience(self.lake.settings), "sub": "bia", "roles": ["Gamma"],
            "iat": now, "exp": now + 60,
        } | claims  # fmt: skip
        body = {name: value for name, value in body.items() if value is not None}
        known = signing_secret(self.lake.settings, make=True)
        return jwt.encode(body, secret or known or "", algorithm)


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """The service, closed: API keys, one issuer, Superset's signature. One proxy is in front."""
    with issuing() as issuer:
        lake = make_lake(
            tmp_path_factory.mktemp("closed") / "lake",
            oidc_issuers=(issuer.url,),
            oidc_audiences=(AUDIENCE,),
            service_proxies=1,
            service_engines=2,
        )
        lake.duck.execute("create table lake.gold_test.t as select range as id from range(1000)")
        lake.release()
        lake.release(environment="dev")
        with serving(lake.settings, loopback=False) as client:
            yield Closed(lake, client, issuer)
        close_lake(lake)


@pytest.fixture
def ed25519_key() -> Callable[[], ed25519.Ed25519PrivateKey]:
    return ed25519.Ed25519PrivateKey.generate
