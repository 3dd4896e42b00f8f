"""A catalog by URL: TCP, TLS checked against a certificate authority, and a password."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import trustme

from lavra.catalog import open_catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.errors import CatalogUnavailable
from lavra.settings import load_settings
from lavra.storage import open_storage
from tests.conftest import free_port
from tests.tls_proxy import tls_proxy

PASSWORD = "p'a s\\s@word"  # every character that some layer might fail to quote


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with an authority's certificate and a server's for localhost."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = trustme.CA()
    server = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    return folder


@pytest.fixture
def remote_url(tmp_path: Path, certificates: Path) -> Iterator[str]:
    """The URL of a database that only answers over TLS, to whoever knows the password."""
    plain = LocalPostgres(tmp_path / "remote")
    plain.start()
    with psycopg.connect(plain.url(), autocommit=True) as connection:
        quoted = psycopg.sql.Literal(PASSWORD)
        connection.execute(psycopg.sql.SQL("create role lake login password {}").format(quoted))
        connection.execute("create database warehouse owner lake")
    plain.leave()

    rules = plain.data / "hba.conf"
    rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    rules.chmod(0o644)
    server_port, port = free_port(), free_port()
    server = LocalPostgres(
        tmp_path / "remote",
        {"listen_addresses": "127.0.0.1", "port": str(server_port), "hba_file": str(rules)},
    )
    server.start()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    authority = quote(str(certificates / "ca.pem"), safe="")
    with tls_proxy(context, port, server_port):
        yield (
            f"postgresql://lake:{quote(PASSWORD, safe='')}@localhost:{port}/warehouse"
            f"?sslmode=verify-full&sslrootcert={authority}"
        )
    server.leave()


def test_everything_that_uses_the_catalog_gets_through(
    project: Path, remote_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAVRA_CATALOG_URL", remote_url)
    settings = load_settings(project)
    catalog = open_catalog(settings)
    with catalog.connect() as connection:
        assert connection.info.pgconn.ssl_in_use
    storage = open_storage(settings)
    with connect_duckdb(storage) as duck:
        attach_lake(duck, catalog, storage)
        duck.execute("create schema lake.s; create table lake.s.t as select 42 as a")
        assert duck.execute("select a from lake.s.t").fetchone() == (42,)
    assert not (settings.state / "postgres").exists()


def test_sqlalchemy_gets_through(
    project: Path, remote_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import create_engine, text

    monkeypatch.setenv("LAVRA_CATALOG_URL", remote_url)
    engine = create_engine(open_catalog(load_settings(project)).to_sqlalchemy())
    with engine.connect() as connection:
        assert connection.execute(text("select current_database()")).scalar() == "warehouse"
    engine.dispose()


@pytest.mark.parametrize("broken", ["password", "authority", "plaintext"])
def test_a_wrong_way_in_is_refused_without_the_password(
    project: Path,
    remote_url: str,
    certificates: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    url = {
        "password": remote_url.replace("p%27a", "wrong"),
        "authority": remote_url.replace("ca.pem", "server.pem"),
        "plaintext": remote_url.replace("verify-full", "disable"),
    }[broken]
    assert certificates.is_dir()
    monkeypatch.setenv("LAVRA_CATALOG_URL", url)
    with pytest.raises(CatalogUnavailable) as caught:
        open_catalog(load_settings(project))
    assert "s@word" not in str(caught.value)
    assert "s%40word" not in str(caught.value)
