"""A stream whose source answers over TLS alone, as Cloud SQL with ENCRYPTED_ONLY does."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import trustme
from psycopg.conninfo import conninfo_to_dict

from lavra.errors import SourceError
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.runner import StreamRunner
from lavra.streams.sources import open_source
from tests.conftest import free_port
from tests.lavra.streams.conftest import Followed
from tests.tls_proxy import tls_proxy

Follow = Callable[..., Followed]


class Encrypted:
    """A followed database behind TLS, reached by what a declaration says."""

    def __init__(self, followed: Followed, folder: Path) -> None:
        self.followed, self.folder = followed, folder
        self.authority, self.port = trustme.CA(), free_port()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        trustme.CA().cert_pem.write_to_path(folder / "another.pem")
        given = conninfo_to_dict(followed.url)
        self.user = given["user"]
        self.socket = Path(str(given["host"])) / f".s.PGSQL.{given.get('port', 5432)}"

    def catch_up(self, ssl_mode: str) -> None:
        stream = StreamDeclaration.model_validate(
            {"name": self.followed.name, "description": "test", "owner": "test",
             "tables": ["public.items"], "batch": {"max_seconds": 0.2},
             "source": {"connector": "postgres", "config": {
                 "host": "localhost", "port": self.port, "database": self.followed.name,
                 "username": self.user, "ssl_mode": ssl_mode}}}
        )  # fmt: skip
        lake = self.followed.lake
        runner = StreamRunner(
            lake.catalog, lake.storage, stream, lambda: open_source(lake.settings, stream)
        )
        runner.run(threading.Event(), once=True)


@pytest.fixture
def encrypted(follow: Follow, tmp_path: Path) -> Iterator[Encrypted]:
    table = "create table items (id int primary key)"
    followed = follow("public.items", sql=f"{table}; insert into items values (1)")
    opened = Encrypted(followed, tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    opened.authority.issue_cert("localhost").configure_cert(context)
    with tls_proxy(context, opened.port, opened.socket):
        yield opened


def test_it_is_loaded_and_followed_over_tls(
    encrypted: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed = encrypted.followed
    encrypted.catch_up("require")
    followed.sql("insert into items values (2)")
    # Checked by the authority that libpq is told of, in the way that it is told of it anywhere.
    monkeypatch.setenv("PGSSLROOTCERT", str(encrypted.folder / "ca.pem"))
    encrypted.catch_up("verify-ca")
    assert followed.current("items", "id", "id") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("ssl_mode", "authority", "said"),
    [("disable", None, "closed"), ("verify-ca", "another.pem", "certificate verify failed")],
)
def test_a_way_that_is_not_safe_is_not_taken(
    encrypted: Encrypted,
    monkeypatch: pytest.MonkeyPatch,
    ssl_mode: str,
    authority: str | None,
    said: str,
) -> None:
    if authority:
        monkeypatch.setenv("PGSSLROOTCERT", str(encrypted.folder / authority))
    with pytest.raises(SourceError, match=said):
        encrypted.catch_up(ssl_mode)
    with psycopg.connect(encrypted.followed.url) as connection:
        assert connection.execute("select count(*) from pg_publication").fetchone() == (0,)
