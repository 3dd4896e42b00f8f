"""The service behind a certificate of its own: keys cross the network only encrypted."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trustme

from lavra.access.keys import create_key
from tests.conftest import free_port
from tests.query_service.conftest import Lake, wait_until

LAVRA = str(Path(sys.executable).parent / "lavra")


def test_a_key_over_the_services_own_certificate(lake: Lake, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key_file = tmp_path / "service.pem", tmp_path / "service.key"
    for number, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(str(certificate), append=number > 0)
    issued.private_key_pem.write_to_path(str(key_file))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    lake.duck.execute("create table lake.gold_test.t as select 7 as id")
    lake.release()
    with lake.catalog.connect() as connection:
        _, key = create_key(connection, "reports")
    port = free_port()
    process = subprocess.Popen(
        [LAVRA, "serve", "--port", str(port)],
        cwd=lake.settings.project,
        env={
            **os.environ,
            "LAVRA_SERVICE_TLS_CERTIFICATE": str(certificate),
            "LAVRA_SERVICE_TLS_KEY": str(key_file),
        },
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=trusting, trust_env=False
        ) as client:

            def ready() -> bool:
                assert process.poll() is None
                try:
                    return client.get("/readyz").status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(ready, timeout_s=120)
            asked = {"sql": "select id from gold_test.t"}
            assert client.post("/v1/sql", json=asked).status_code == 401
            answer = client.post("/v1/sql", json=asked, headers={"X-Api-Key": key})
            assert answer.json()["rows"] == [[7]]
        with pytest.raises(httpx.TransportError):  # not without the authority
            httpx.get(f"https://127.0.0.1:{port}/readyz", trust_env=False)
        with pytest.raises(httpx.TransportError):  # and never in the clear
            httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_a_private_key_without_its_certificate_is_said(lake: Lake, tmp_path: Path) -> None:
    done = subprocess.run(
        [LAVRA, "serve", "--port", str(free_port())],
        cwd=lake.settings.project,
        env={**os.environ, "LAVRA_SERVICE_TLS_KEY": str(tmp_path / "service.key")},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "LAVRA_SERVICE_TLS_KEY is set without its certificate" in done.stderr
