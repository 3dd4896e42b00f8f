"""The driver over https: certificates are checked, against the authority that is named."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import trustme
from toy_service import ToyService, running

import lavra_driver


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that no machine trusts by itself."""
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ToyService]:
    """A stand-in for the service, with a certificate of that authority."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with running(tls) as toy:
        yield toy


def test_a_named_authority_is_trusted(
    secure: ToyService, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    url = f"lavra://:the-key@127.0.0.1:{secure.port}/prod?https=true&ca_file={tmp_path}/ca.pem"
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("select 1")).scalar() == 1
    engine.dispose()
    assert secure.requests[-1][2]["Authorization"] == "Bearer the-key"


def test_any_other_is_not_and_nothing_is_sent(secure: ToyService) -> None:
    connection = lavra_driver.connect("127.0.0.1", secure.port, https=True, api_key="k")
    with connection, pytest.raises(lavra_driver.OperationalError, match="certificate"):
        connection.execute("select 1")
    assert secure.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_checking_can_be_turned_off(secure: ToyService) -> None:
    with lavra_driver.connect(secure.url, verify=False) as connection:
        assert connection.execute("select 1").fetchall() == [(1,)]
