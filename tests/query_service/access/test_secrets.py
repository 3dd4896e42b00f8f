"""Secrets are in no log line, error, metric, record or process list while all of it runs."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import jwt

from lavra.access.log import list_entries
from lavra.access.signing import ISSUER, audience, signing_secret
from lavra.dashboards.superset import admin_credentials, superset_home
from lavra.local.private_files import kept_secret
from query_service.cache.restricted import HashKey
from tests.conftest import free_port
from tests.query_service.access.conftest import AUDIENCE, issuing, rsa_key
from tests.query_service.conftest import Lake, wait_until

LAVRA = str(Path(sys.executable).parent / "lavra")
POLICY = """
roles:
  admin: {grants: [{tables: ["*", "lavra.*"]}]}
  finance: {grants: [{tables: ["*"]}]}
  broken: {grants: [{tables: ["*"]}]}
masks:
  - {columns: [email], mask: hash, roles: [finance, broken]}
rows:
  - {tables: ["gold_test.*"], roles: [broken], filter: "cast(email as int) > 0"}
"""


def test_secrets_are_in_no_log_error_metric_or_process_list(lake: Lake) -> None:
    settings = lake.settings
    (settings.project / "access" / "policy.yaml").write_text(POLICY)
    lake.duck.execute("create table lake.gold_test.t as select 1 as id, 'a@x' as email")
    lake.release()
    created = _run(lake, "keys", "create", "someone", "--role", "admin")
    good = created.stdout.strip()
    wrong = f"lavra_{'b' * 12}_{secrets.token_urlsafe(32)}"
    signing = signing_secret(settings, make=True) or ""
    password = admin_credentials(settings).password
    sealing = kept_secret(superset_home(settings) / "secret_key", 42)
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": audience(settings), "sub": "bia", "roles": []}
    signed = jwt.encode(claims | {"iat": now, "exp": now + 600}, signing, "HS256")
    seen: list[bytes] = [created.stderr.encode()]
    with issuing() as issuer:
        tokens = [issuer.token(), issuer.token(roles=["broken"]), issuer.token(exp=now - 600)]
        tokens += [issuer.token(key=rsa_key()), issuer.token(aud="another")]
        with _serving(lake, issuer.url, seen) as (url, client):
            # Those that are accepted come first: wrong ones make their client wait.
            masked = client.get(
                "/v1/sql?query=select+email+from+gold_test.t",
                headers={"Authorization": f"Bearer {tokens[0]}"},
            )
            assert len(masked.json()["rows"][0][0]) == 64
            for text in (good, signed, *tokens[:2]):
                bearer = {"Authorization": f"Bearer {text}"}
                assert client.get("/v1/queries", headers=bearer).status_code == 200
            for text in (good, wrong, signed, signed[:-4] + "AAAA", *tokens):
                for path in (
                    "/v1/sql?query=select+nope", "/v1/sql?query=select+*+from+gold_test.t",
                    "/v1/sql?query=explain+select+*+from+gold_test.t", "/v1/queries", "/metrics",
                    f"/x?key={text}",
                ):  # fmt: skip
                    for headers in ({"Authorization": f"Bearer {text}"}, {"X-Api-Key": text}):
                        seen.append(client.get(path, headers=headers).content)  # noqa: PERF401
                # What somebody pastes into a statement comes back to nobody but them.
                body = {"sql": f"select '{text}' as pasted"}
                client.post("/v1/sql", json=body, headers={"Authorization": f"Bearer {good}"})
            for command in (["sql", "select 1"], ["dashboards", "check"], ["status"]):
                _watch(lake, url, good, command, seen)
        seen.append(_run(lake, "keys", "list", "--json").stdout.encode())
    seen.append(_run(lake, "access", "log", "-n", "10000", "--json").stdout.encode())
    with lake.catalog.connect() as connection:
        seen.append(str(list_entries(connection, limit=10_000)).encode())
        row = connection.execute("select secret from lavra.mask_key").fetchone()
    assert row is not None
    private = {
        settings.state / "superset" / name
        for name in ("signing_secret", "admin_password", "secret_key")
    }
    assert [path for path in private if path.stat().st_mode & 0o077] == []
    seen += [
        path.read_bytes()
        for path in settings.state.rglob("*")
        if path.is_file() and path not in private and "postgres" not in path.parts
    ]
    everything = b"\n".join(seen)
    for shown in (b"unauthenticated", b"someone", b"ana@example.com", b"lavra_queries"):
        assert shown in everything
    plain = [good[-43:], wrong[-43:], signing, password, sealing, signed.split(".")[2]]
    plain += [token.split(".")[2] for token in tokens]
    keys = [bytes(row[0]), *HashKey(bytes(row[0])).pads.values()]
    looked_for = [text.encode() for text in plain]
    for key in keys:
        looked_for += [
            key,
            key.hex().encode(),
            key.hex().upper().encode(),
            repr(key)[2:-1].encode(),
        ]
        looked_for += [base64.b64encode(key), base64.urlsafe_b64encode(key)]
    assert min(map(len, looked_for)) >= 15
    assert [text for text in looked_for if text in everything] == []


def _run(lake: Lake, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LAVRA, *words], cwd=lake.settings.project, capture_output=True, text=True, check=True
    )


@contextmanager
def _serving(lake: Lake, issuer: str, seen: list[bytes]) -> Iterator[tuple[str, httpx.Client]]:
    """Run the service as people do, as talkative as it can be; its output is seen at the end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "LAVRA_LOG_LEVEL": "debug", "LAVRA_LOG_SQL": "true",
        "LAVRA_OIDC_ISSUERS": json.dumps([issuer]), "LAVRA_OIDC_AUDIENCES": json.dumps([AUDIENCE]),
    }  # fmt: skip
    service = subprocess.Popen(
        [LAVRA, "serve", "--port", str(port)], cwd=lake.settings.project, env=environment,
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_until(lambda: _is_ready(url), timeout_s=120)
        with httpx.Client(base_url=url, timeout=60) as client:
            yield url, client
    finally:
        service.terminate()
        seen += service.communicate(timeout=60)


def _watch(lake: Lake, url: str, key: str, command: list[str], seen: list[bytes]) -> None:
    """Run a command that uses a secret, and look at the process list until it ends."""
    environment = os.environ | {
        "LAVRA_SERVICE_KEY": key, "LAVRA_SERVICE_URL": url,
        "LAVRA_SUPERSET_PORT": url.rpartition(":")[2],
    }  # fmt: skip
    out = lake.settings.project / "command.txt"
    with out.open("wb") as written:
        asked = subprocess.Popen(
            [LAVRA, *command], cwd=lake.settings.project, env=environment,
            stdout=written, stderr=written,
        )  # fmt: skip
        while asked.poll() is None:
            seen.append(_process_list())
            time.sleep(0.1)
    # The service stands where Superset would: it refuses the administrator's login.
    assert asked.returncode == 0 or command[0] == "dashboards", out.read_text()
    seen.append(out.read_bytes())


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _process_list() -> bytes:
    """Return the arguments of every process of the machine, engines among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" "))
        except OSError:  # it ended meanwhile
            continue
    return b"\n".join(found)
