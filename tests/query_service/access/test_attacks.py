"""Attempts to be somebody else, or nobody: each fails, and says nothing that helps."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from query_service import issuers
from tests.query_service.access.conftest import AUDIENCE, Closed, rsa_key

Attack = Callable[[Closed], list[tuple[str, str]]]


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(closed: Closed, **more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": closed.issuer.url, "aud": AUDIENCE, "sub": "1", "email": "root@example.com",
        "roles": ["admin"], "iat": now, "exp": now + 300,
    } | more  # fmt: skip


def forged(header: dict[str, Any], body: dict[str, Any], secret: bytes | None = None) -> str:
    signed = f"{encoded(header)}.{encoded(body)}"
    made = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{encoded(made)}"


def public_pem(closed: Closed) -> bytes:
    key = closed.issuer.keys["first"].public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def bearer(text: str) -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {text}")]


def valid_key(closed: Closed) -> str:
    if not hasattr(closed, "valid"):
        closed.valid = closed.key("attacked", roles=["admin"])[1]  # type: ignore[attr-defined]
    return str(closed.valid)  # type: ignore[attr-defined]


def wrong_half(closed: Closed) -> str:
    key = valid_key(closed)
    return key[:-1] + ("A" if key[-1] != "A" else "B")


ATTACKS: dict[str, Attack] = {
    "nothing at all": lambda _: [],
    "alg none": lambda c: bearer(forged({"alg": "none", "kid": "first"}, claims(c))),
    "alg NoNe": lambda c: bearer(forged({"alg": "NoNe", "kid": "first"}, claims(c))),
    "alg missing": lambda c: bearer(forged({"kid": "first"}, claims(c))),
    "HS256 with the public key": lambda c: bearer(
        forged({"alg": "HS256", "kid": "first", "typ": "JWT"}, claims(c), public_pem(c))
    ),
    "HS256 with an empty secret": lambda c: bearer(
        forged({"alg": "HS256"}, claims(c, iss="urn:lavra:superset"), b"\0")
    ),
    "expired": lambda c: bearer(c.issuer.token(exp=int(time.time()) - 3600, email="e@x")),
    "not yet valid": lambda c: bearer(c.issuer.token(nbf=int(time.time()) + 3600)),
    "issued in the future": lambda c: bearer(c.issuer.token(iat=int(time.time()) + 3600)),
    "without an end": lambda c: bearer(c.issuer.token(exp=None)),
    "another audience": lambda c: bearer(c.issuer.token(aud="https://other.example")),
    "no audience": lambda c: bearer(c.issuer.token(aud=None)),
    "another issuer": lambda c: bearer(c.issuer.token(iss="https://accounts.google.com")),
    "almost the issuer": lambda c: bearer(c.issuer.token(iss=c.issuer.url + "/")),
    "no issuer": lambda c: bearer(c.issuer.token(iss=None)),
    "an issuer that is a list": lambda c: bearer(
        forged({"alg": "RS256", "kid": "first"}, claims(c, iss=[c.issuer.url]))
    ),
    "a key of one's own": lambda c: bearer(c.issuer.token(key=rsa_key())),
    "a key in the header (jwk)": lambda c: bearer(
        c.issuer.token(key=rsa_key(), headers={"jwk": {"kty": "oct", "k": "AAAA"}})
    ),
    "a key set of one's own (jku)": lambda c: bearer(
        c.issuer.token("mine", key=rsa_key(), headers={"jku": "https://evil.example/keys"})
    ),
    "a key id that is a path": lambda c: bearer(c.issuer.token("../../etc/passwd", key=rsa_key())),
    "a key id that is SQL": lambda c: bearer(c.issuer.token("' or 1=1 --", key=rsa_key())),
    "a key id that is an object": lambda c: bearer(
        forged({"alg": "RS256", "kid": {"a": 1}}, claims(c))
    ),
    "a critical header": lambda c: bearer(
        forged({"alg": "RS256", "kid": "first", "crit": ["x"], "x": 1}, claims(c))
    ),
    "a changed body": lambda c: bearer(
        ".".join([(t := c.issuer.token().split("."))[0], encoded(claims(c)), t[2]])
    ),
    "no signature": lambda c: bearer(c.issuer.token().rsplit(".", 1)[0] + "."),
    "an address nobody verified": lambda c: bearer(c.issuer.token(email_verified=False)),
    "no user": lambda c: bearer(c.issuer.token(email=None)),
    "a user with a line break": lambda c: bearer(c.issuer.token(email="ana@example.com\nx")),
    "no JSON": lambda _: bearer(f"{encoded(b'{')}.{encoded(b'{')}.{encoded(b'x')}"),
    "Superset: forged": lambda c: bearer(c.signed(secret="x" * 64)),
    "Superset: expired": lambda c: bearer(c.signed(exp=int(time.time()) - 60)),
    "Superset: for ever": lambda c: bearer(c.signed(exp=None)),
    "Superset: another lake's": lambda c: bearer(c.signed(aud="urn:lavra:service:other")),
    "Superset: as an issuer": lambda c: bearer(c.signed(iss=c.issuer.url)),
    "Superset: another algorithm": lambda c: bearer(c.signed(algorithm="HS512")),
    "Superset: by the issuer's key": lambda c: bearer(
        c.issuer.token(iss="urn:lavra:superset", aud="urn:lavra:service:test")
    ),
    "Superset: roles that are a text": lambda c: bearer(c.signed(roles="admin")),
    "a wrong half of a key": lambda c: bearer(wrong_half(c)),
    "an unknown id": lambda c: bearer("lavra_" + "a" * 12 + "_" + valid_key(c)[-43:]),
    "only the id": lambda c: bearer(valid_key(c)[:18]),
    "lookalike letters": lambda c: bearer(
        valid_key(c).replace("a", "\u00e0").replace("lavra", "l\u00e0vra")
    ),
    "another case": lambda c: bearer(valid_key(c).upper()),
    "two keys": lambda c: bearer(valid_key(c)) * 2,
    "a key and a header of it": lambda c: [*bearer(valid_key(c)), ("X-Api-Key", valid_key(c))],
    "a wrong key beside a right one": lambda c: [
        *bearer(wrong_half(c)), ("X-Api-Key", valid_key(c))
    ],
    "basic authentication": lambda c: [
        ("Authorization", "Basic " + base64.b64encode(valid_key(c).encode()).decode())
    ],
    "a key without its scheme": lambda c: [("Authorization", valid_key(c))],
    "a huge key": lambda _: bearer("lavra_" + "a" * 12 + "_" + "A" * 50_000),
    "an empty key": lambda _: [("Authorization", "Bearer")],
    "headers that name a caller": lambda _: [
        ("X-Lavra-Caller", "admin"), ("X-Lavra-User", "admin"), ("X-Lavra-Roles", "admin"),
        ("X-Remote-User", "admin"), ("X-Goog-Authenticated-User-Email", "a@x"),
    ],
    "a header that says loopback": lambda _: [
        ("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("Forwarded", "for=127.0.0.1")
    ],
    "a cookie": lambda c: [("Cookie", f"session={valid_key(c)}")],
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_nobody_is_somebody_else(
    closed: Closed, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "REFETCH_S", 0.0)
    headers = [(k, v.encode("latin-1") if not v.isascii() else v) for k, v in ATTACKS[name](closed)]
    answer = closed.ask(*headers)  # type: ignore[arg-type]
    assert answer.status_code == 401, answer.text
    problem = answer.json()
    assert problem["code"] == "unauthenticated"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for _, value in headers:
        secret = value.split()[-1] if isinstance(value, str) and value.split() else None
        if secret and len(secret) > 20:
            assert secret not in answer.text


def test_every_path_is_closed_but_health(closed: Closed) -> None:
    for path in ("/healthz", "/readyz"):
        assert closed.ask(path=path).status_code == 200
    paths = (
        "/v1/sql?query=select+1", "/v1/tables", "/v1/tables/gold_test/t", "/v1/snapshot",
        "/v1/queries", "/v1/environments", "/metrics", "/docs", "/openapi.json", "/nope",
        "/healthz/../v1/snapshot", "/HEALTHZ", "//healthz", "/readyz/",
    )  # fmt: skip
    assert {path: closed.ask(path=path).status_code for path in paths} == dict.fromkeys(paths, 401)
    for method, path in (("POST", "/v1/sql"), ("POST", "/v1/refresh"), ("DELETE", "/v1/queries/x")):
        assert closed.client.request(method, path).status_code == 401


@pytest.mark.parametrize("parameter", ["api_key", "key", "token", "access_token", "X-Api-Key"])
def test_a_key_in_a_url_is_refused(closed: Closed, parameter: str) -> None:
    key = valid_key(closed)
    for path in ("/v1/snapshot?", "/v1/sql?query=select+1&"):
        alone = closed.ask(path=f"{path}{parameter}={key}")
        both = closed.bearer(key, path=f"{path}{parameter}={key}")
        for answer in (alone, both):
            assert answer.status_code == 401
            assert key not in answer.text
            assert "URL" in answer.json()["detail"]


def test_queries_of_others_are_neither_seen_nor_ended(closed: Closed) -> None:
    _, mine = closed.key("mine")
    _, theirs = closed.key("theirs")
    own = {"Authorization": f"Bearer {mine}", "X-Lavra-Query-Id": "mine-alone-1"}
    body = {"sql": "select 'private words' as it"}
    assert closed.client.post("/v1/sql", json=body, headers=own).status_code == 200
    for other in (theirs, closed.signed(sub="mine"), closed.issuer.token(email="mine")):
        assert "private words" not in closed.bearer(other, path="/v1/queries").text
        ended = closed.client.delete(
            "/v1/queries/mine-alone-1", headers={"Authorization": f"Bearer {other}"}
        )
        assert ended.json()["cancelled"] is False
    assert "private words" in closed.bearer(mine, path="/v1/queries").text
    assert "private words" in closed.bearer(valid_key(closed), path="/v1/queries").text


def test_metrics_are_for_their_role(closed: Closed) -> None:
    _, plain = closed.key("plain")
    _, scraper = closed.key("scraper", roles=["metrics"])
    assert closed.bearer(plain, path="/metrics").json()["code"] == "forbidden"
    assert "lavra_table_bytes" in closed.bearer(scraper, path="/metrics").text
    assert "private words" not in closed.bearer(scraper, path="/v1/queries").text


def test_time_tells_nothing_of_a_key(closed: Closed) -> None:
    """The comparison itself, without HTTP, whose noise would hide any difference."""
    from lavra.errors import Unauthenticated
    from query_service.key_ring import KeyRing

    key = valid_key(closed)
    ring = KeyRing(closed.lake.catalog)
    ring.start()
    try:
        candidates = {
            "first character wrong": key[:19] + ("A" if key[19] != "A" else "B") + key[20:],
            "last character wrong": wrong_half(closed),
            "unknown id": "lavra_" + "a" * 12 + key[18:],
        }
        times: dict[str, list[int]] = {name: [] for name in candidates}
        for _ in range(2000):
            for name, text in candidates.items():
                began = time.perf_counter_ns()
                with pytest.raises(Unauthenticated):
                    ring.check(text)
                times[name].append(time.perf_counter_ns() - began)
        medians = {name: statistics.median(found) for name, found in times.items()}
        print(f"median ns by kind of wrong key: {medians}")
        assert max(medians.values()) < 2 * min(medians.values())
    finally:
        ring.stop()
