"""A small OpenID Connect provider for tests: it logs in whoever the test says, without asking."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

CLIENT_ID = "superset"
CLIENT_SECRET = "a-secret-between-two-servers"


@dataclass
class Provider:
    """The provider: ``person`` are the claims of whoever logs in next.

    ``signing_key`` may be replaced, to sign with a key that the provider does not publish.
    """

    issuer: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    signing_key: rsa.RSAPrivateKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where the browser goes next, with a code."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, sent: dict[str, str]) -> dict[str, Any] | None:
        """Return the tokens for a code, once; None when something does not fit."""
        asked = self.codes.pop(sent.get("code", ""), None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        if asked is None or asked["code_challenge"] != _base64(digest):
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": self.person["sub"], "iat": now,
            "exp": now + 300, "nonce": asked["nonce"], **self.person,
        }  # fmt: skip
        return {
            "access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 300,
            "id_token": self.sign(claims),
        }  # fmt: skip

    def sign(self, claims: dict[str, Any]) -> str:
        """Return an identity token."""
        head = _base64(json.dumps({"alg": "RS256", "kid": "1"}).encode())
        signed = f"{head}.{_base64(json.dumps(claims).encode())}"
        key = self.signing_key or self.key
        return f"{signed}.{_base64(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"

    def documents(self) -> dict[str, Any]:
        """What is published, by path."""
        numbers = self.key.public_key().public_numbers()
        n, e = (
            _base64(v.to_bytes((v.bit_length() + 7) // 8, "big")) for v in (numbers.n, numbers.e)
        )
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/keys": {"keys": [{"kty": "RSA", "kid": "1", "use": "sig", "n": n, "e": e}]},
            "/userinfo": self.person,
        }


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Serve a provider on loopback."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(_flat(url.query)))
                self.end_headers()
            else:
                self._answer(provider.documents().get(url.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            secret = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
            known = self.headers.get("Authorization") == f"Basic {secret}"
            self._answer(provider.token(_flat(body)) if known else None)

        def _answer(self, document: Any) -> None:
            self.send_response(200 if document is not None else 400)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document or {"error": "invalid_request"}).encode())

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
