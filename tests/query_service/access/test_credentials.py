"""What proves who asks: keys from creation to revocation, tokens, Superset's signature."""

from __future__ import annotations

import time
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from lavra.access.keys import KEY, list_keys, revoke_key, rotate_key
from lavra.errors import AccessError
from query_service import issuers
from tests.query_service.access.conftest import AUDIENCE, Closed, rsa_key
from tests.query_service.conftest import wait_until


def whoami(closed: Closed, text: str) -> dict[str, str]:
    """What the access log will say of who asked."""
    headers = {"Authorization": f"Bearer {text}"}
    answer = closed.client.post("/v1/sql", json={"sql": "select 1"}, headers=headers)
    assert answer.status_code == 200, answer.text
    shown = closed.client.get("/v1/queries", headers=headers).json()["queries"]
    found = next(q for q in shown if q["query_id"] == answer.headers["X-Lavra-Query-Id"])
    return {"caller": found["caller"]}


def test_a_key_lives_from_creation_to_revocation(closed: Closed) -> None:
    key, text = closed.key("reports", roles=["finance"])
    assert KEY.fullmatch(text)
    assert whoami(closed, text) == {"caller": "reports"}
    by_header = closed.ask(("X-Api-Key", text))
    assert by_header.status_code == 200
    with closed.lake.catalog.connect() as connection:
        kept = next(one for one in list_keys(connection) if one.id == key.id)
        stored = connection.execute("select to_jsonb(k)::text from lavra.api_key k").fetchall()
        revoke_key(connection, "reports")
    assert text.rsplit("_", 1)[1] not in str(stored) + str(kept)
    wait_until(lambda: closed.bearer(text).status_code == 401, timeout_s=10)
    assert "revoked" in closed.bearer(text).json()["detail"]


def test_a_rotation_overlaps(closed: Closed) -> None:
    old, text = closed.key("rotating", roles=["finance"], lifetime=timedelta(days=1))
    with closed.lake.catalog.connect() as connection:
        new, other = rotate_key(connection, "rotating", overlap=timedelta(seconds=1.5))
    assert (new.name, new.roles, new.replaces) == (old.name, old.roles, old.id)
    wait_until(lambda: closed.bearer(other).status_code == 200)
    wait_until(lambda: closed.bearer(text).status_code == 401, timeout_s=10)
    assert "expired" in closed.bearer(text).json()["detail"]
    assert closed.bearer(other).status_code == 200


def test_a_name_is_of_one_active_key_and_a_typo_is_said(closed: Closed) -> None:
    closed.key("taken")
    with pytest.raises(AccessError, match="active key 'taken'"):
        closed.key("taken")
    with pytest.raises(AccessError, match="no name") as caught:
        closed.key("lavra_abc_SECRET")
    assert "SECRET" not in str(caught.value)
    with (
        closed.lake.catalog.connect() as connection,
        pytest.raises(AccessError, match="no active key"),
    ):
        revoke_key(connection, "nobody")


def test_a_key_reaches_only_its_environments(closed: Closed) -> None:
    _, text = closed.key("dev-only", environments=["dev"])
    headers = {"Authorization": f"Bearer {text}"}
    body = {"sql": "select 1", "environment": "dev"}
    assert closed.client.post("/v1/sql", json=body, headers=headers).status_code == 200
    listed = closed.bearer(text, path="/v1/environments").json()["environments"]
    assert [one["name"] for one in listed] == ["dev"]
    for environment in ("prod", "nowhere"):
        refused: list[httpx.Response] = [
            closed.client.post(
                "/v1/sql", json=body | {"environment": environment}, headers=headers
            ),
            closed.client.get(
                "/v1/sql", params={"query": "select 1", "environment": environment}, headers=headers
            ),
            *(
                closed.bearer(text, path=f"{path}?environment={environment}")
                for path in ("/v1/tables", "/v1/tables/gold_test/t", "/v1/snapshot")
            ),
            closed.client.post(f"/v1/refresh?environment={environment}", headers=headers),
        ]
        assert [answer.json()["code"] for answer in refused] == ["forbidden"] * len(refused)


def test_tokens_of_every_good_kind(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuers, "REFETCH_S", 0.0)
    issuer = closed.issuer
    assert whoami(closed, issuer.token()) == {"caller": "ana@example.com"}
    issuer.keys["curve"] = ec.generate_private_key(ec.SECP256R1())
    issuer.keys["edwards"] = ed25519.Ed25519PrivateKey.generate()
    for key_id, algorithm in (("curve", "ES256"), ("edwards", "EdDSA"), ("first", "PS256")):
        if algorithm == "PS256":
            issuer.extra = [{**issuer.document("/keys")["keys"][0], "kid": "pss", "alg": "PS256"}]  # type: ignore[index]
            token = issuer.token("pss", algorithm="PS256", key=issuer.keys["first"])
        else:
            token = issuer.token(key_id, algorithm=algorithm)
        assert closed.bearer(token).status_code == 200, algorithm


def test_clocks_may_differ_by_a_minute(closed: Closed) -> None:
    now = int(time.time())
    token = closed.issuer.token
    assert closed.bearer(token(exp=now - 30)).status_code == 200
    assert closed.bearer(token(nbf=now + 30, iat=now + 30)).status_code == 200
    assert closed.bearer(token(exp=now - 90)).status_code == 401
    assert closed.bearer(token(nbf=now + 90)).status_code == 401


def test_a_token_as_google_makes_them(closed: Closed) -> None:
    """The claims of an identity token of a service account, as Cloud Run's documentation lists."""
    google = {
        "aud": AUDIENCE, "azp": "113774264463038321964", "sub": "113774264463038321964",
        "email": "reports@acme-lake.iam.gserviceaccount.com", "email_verified": True,
        "roles": None,
    }  # fmt: skip
    assert whoami(closed, closed.issuer.token(**google)) == {"caller": google["email"]}
    for wrong in ({"email_verified": False}, {"aud": "https://another.example"}, {"email": None}):
        assert closed.bearer(closed.issuer.token(**google | wrong)).status_code == 401, wrong


def test_an_issuer_may_change_its_keys(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = closed.issuer
    assert closed.bearer(issuer.token(email="before@example.com")).status_code == 200
    issuer.keys["second"] = rsa_key()
    monkeypatch.setattr(issuers, "REFETCH_S", 0.0)
    assert closed.bearer(issuer.token("second")).status_code == 200
    del issuer.keys["second"]
    monkeypatch.setattr(issuers, "FRESH_S", -1.0)
    assert closed.bearer(issuer.token("second", key=rsa_key(), sub="x")).status_code == 401


def test_unknown_key_ids_do_not_make_us_ask_the_issuer_each_time(closed: Closed) -> None:
    key = rsa_key()
    closed.bearer(closed.issuer.token("unknown-0", key=key))
    asked = len(closed.issuer.requests)
    for number in range(20):
        assert closed.bearer(closed.issuer.token(f"unknown-{number}", key=key)).status_code == 401
    assert len(closed.issuer.requests) <= asked + 2


def test_an_issuer_that_is_away_is_said_and_stops_nobody_else(
    closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = closed.key("meanwhile")
    assert closed.bearer(closed.issuer.token(email="known@example.com")).status_code == 200
    monkeypatch.setattr(issuers, "FRESH_S", -1.0)
    monkeypatch.setattr(issuers, "REFETCH_S", 0.0)
    closed.issuer.down = True
    try:
        # The keys that were fetched before go on for a while ...
        assert closed.bearer(closed.issuer.token(email="new@example.com")).status_code == 200
        monkeypatch.setattr(issuers, "STALE_S", 0.0)
        # ... and then it is nobody's fault but the issuer's: no failure is counted.
        answers = [closed.bearer(closed.issuer.token(sub=f"away {n}")) for n in range(15)]
        assert {a.status_code for a in answers} == {503}
        assert answers[0].json()["retryable"] is True
        assert closed.bearer(text).status_code == 200
    finally:
        closed.issuer.down = False


def test_superset_says_who_asks(closed: Closed) -> None:
    assert whoami(closed, closed.signed()) == {"caller": "bia"}
    # Its roles are its own: an "admin" there is none here.
    text = closed.signed(sub="root", roles=["admin", "Admin"])
    assert closed.bearer(text, path="/metrics").json()["code"] == "forbidden"
