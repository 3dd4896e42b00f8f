"""Ten thousand wrong keys, and what may call itself this machine."""

from __future__ import annotations

import asyncio
import logging
import secrets

import pytest
from starlette.datastructures import Headers

from lavra.access.keys import create_key
from lavra.access.log import list_entries
from lavra.errors import ConfigurationError, Unauthenticated
from lavra.settings import Settings
from query_service.authentication import Authenticator
from query_service.failures import ACCEPTED_S, BURST, PER_S, Failures
from query_service.issuers import Issuers
from query_service.key_ring import KeyRing
from query_service.server import check_reachable
from tests.query_service.access.conftest import Closed
from tests.query_service.conftest import Lake


@pytest.mark.parametrize("wrong", [400, pytest.param(10_000, marks=pytest.mark.soak)])
def test_wrong_keys_are_limited_and_never_logged(
    closed: Closed, caplog: pytest.LogCaptureFixture, wrong: int
) -> None:
    caplog.set_level(logging.WARNING)
    for name in ("query_service", "uvicorn"):
        caplog.set_level(logging.DEBUG, logger=name)
    _, good = closed.key("neighbour")
    _, unused = closed.key("latecomer")
    here = ("X-Forwarded-For", "192.0.2.7")
    accepted = [("Authorization", f"Bearer {good}"), here]
    assert closed.client.get("/v1/snapshot", headers=accepted).status_code == 200
    tried = [f"lavra_{'a' * 12}_{secrets.token_urlsafe(32)}" for _ in range(wrong)]
    seen: dict[int, int] = {}
    for key in tried:
        answer = closed.client.get("/v1/snapshot", headers=[("X-Api-Key", key), here])
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        assert key[-43:] not in answer.text
    print(f"{wrong} wrong keys from one address: {seen}")
    assert set(seen) == {401, 429}
    assert seen[429] > wrong * 0.8
    assert answer.headers["Retry-After"]
    # Who was let in before still is, from the same address; nobody else is hindered.
    assert closed.client.get("/v1/snapshot", headers=accepted).status_code == 200
    assert closed.bearer(unused).status_code == 200
    with closed.lake.catalog.connect() as connection:
        refusals = list_entries(connection, refused=True, limit=wrong)
    lines = caplog.text + str(refusals)
    assert not [key for key in tried if key[-43:] in lines]
    assert sum(entry["client"] == "192.0.2.7" for entry in refusals) < wrong * 0.2
    assert "192.0.2.7: it must wait" in caplog.text


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    failures = Failures(lambda: now[0])
    told = [failures.failed("a") for _ in range(BURST)]
    assert told == [False] * (BURST - 1) + [True]
    assert failures.must_wait("a", b"x")
    assert not failures.must_wait("b", b"x")
    now[0] += 1 / PER_S
    assert not failures.must_wait("a", b"x")
    failures.failed("a")
    assert failures.must_wait("a", b"x")
    failures.succeeded(b"x")
    assert not failures.must_wait("a", b"x")
    failures._buckets["a"] = (-1e9, now[0])
    now[0] += ACCEPTED_S
    assert failures.must_wait("a", b"x")


LOOPBACK_CLAIMS: list[tuple[str | None, dict[str, str], bool]] = [
    ("127.0.0.1", {}, True),
    ("::1", {"host": "[::1]:8080"}, True),
    ("127.0.0.1", {"origin": "http://localhost:8080"}, True),
    ("10.0.0.1", {}, False),
    (None, {}, False),
    ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, False),
    ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, False),
    ("127.0.0.1", {"x-real-ip": "127.0.0.1"}, False),
    ("127.0.0.1", {"via": "1.1 proxy"}, False),
    ("127.0.0.1", {"host": "rebound.example:8080"}, False),
    ("127.0.0.1", {"host": "127.0.0.1.example"}, False),
    ("127.0.0.1", {"origin": "https://evil.example"}, False),
    ("127.0.0.1", {"origin": "null"}, False),
    ("127.0.0.1", {"sec-fetch-site": "cross-site"}, False),
    ("10.0.0.1", {"host": "localhost"}, False),
]


@pytest.mark.parametrize(("peer", "headers", "let_in"), LOOPBACK_CLAIMS)
def test_only_this_machine_is_loopback(
    settings: Settings, peer: str | None, headers: dict[str, str], *, let_in: bool
) -> None:
    async def ask(*, allowed: bool) -> bool:
        chosen = settings.model_copy(update={"service_allow_loopback": allowed})
        issuers = Issuers(chosen)
        ring: KeyRing = KeyRing.__new__(KeyRing)  # no key is shown, so none is looked up
        try:
            sent = Headers({"host": "127.0.0.1:8080"} | headers)
            await Authenticator(chosen, ring, issuers).authenticate(sent, peer)
        except Unauthenticated:
            return False
        finally:
            await issuers.close()
        return True

    assert asyncio.run(ask(allowed=True)) is let_in
    assert asyncio.run(ask(allowed=False)) is False


def test_a_service_that_others_reach_needs_somebody_to_believe(lake: Lake) -> None:
    outside = lake.settings.model_copy(
        update={"service_host": "0.0.0.0", "service_allow_loopback": True}  # noqa: S104
    )
    check_reachable(lake.settings)
    with pytest.raises(ConfigurationError, match="others reach it"):
        check_reachable(outside)
    issuer = {"oidc_issuers": ("https://accounts.google.com",)}
    with pytest.raises(ConfigurationError, match="AUDIENCES"):
        check_reachable(outside.model_copy(update=issuer))
    check_reachable(outside.model_copy(update=issuer | {"oidc_audiences": ("a",)}))
    with lake.catalog.connect() as connection:
        create_key(connection, "somebody")
    check_reachable(outside)
