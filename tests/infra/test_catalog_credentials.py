"""The parts' passwords: only in secrets; and their roles, tried on a real Postgres."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.catalog.local_postgres import LocalPostgres
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.errors import CatalogError
from lavra.settings import load_settings
from lavra.storage import open_storage
from tests.infra.catalog_server import CERTIFICATE, Credentials, as_admin, password_server, port_of


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    folder = tmp_path / "cloud"
    folder.mkdir()
    return Credentials(folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalPostgres]:
    with password_server(tmp_path / "server") as running:
        yield running


def test_passwords_are_in_the_secrets_and_nowhere_else(credentials: Credentials) -> None:
    done = credentials.run()
    assert done.returncode == 0, done.stderr
    calls = (credentials.folder / "calls").read_text()
    passwords = {credentials.password(part) for part in ("service", "superset", "worker")}
    assert len(passwords) == 3
    for password in passwords:
        assert len(password) >= 40
        assert password not in done.stdout + done.stderr + calls
    assert credentials.secret("ca").strip() == CERTIFICATE.strip()
    url = urlsplit(credentials.secret("url-worker"))
    assert (url.username, url.hostname, url.path) == ("lavra_worker", "127.0.0.1", "/lavra")
    assert parse_qs(url.query) == {
        "sslmode": ["verify-ca"],
        "sslrootcert": ["/etc/lavra/catalog/ca.pem"],
    }


def test_one_part_alone_is_changed(credentials: Credentials) -> None:
    credentials.run()
    before = {part: credentials.password(part) for part in ("service", "superset", "worker")}
    done = credentials.run("--part", "service")
    after = {part: credentials.password(part) for part in before}
    assert after["service"] != before.pop("service")
    assert before.items() <= after.items()
    assert done.stdout.count("SCRAM-SHA-256") == 1


def test_what_goes_wrong_is_said(credentials: Credentials) -> None:
    assert "one of service, superset, worker" in credentials.run("--part", "nobody").stderr
    (credentials.folder / "gcloud").write_text(f"#!{sys.executable}\nraise SystemExit(1)\n")
    failed = credentials.run()
    assert failed.returncode == 1
    assert "gcloud sql instances describe failed" in failed.stderr
    assert failed.stdout == ""
    (credentials.folder / "gcloud").unlink()
    assert "gcloud is not installed" in credentials.run().stderr


def test_the_roles_may_do_what_they_must_and_no_more(
    credentials: Credentials, server: LocalPostgres, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # a second time, over what is there
        sql = credentials.run().stdout
        with psycopg.connect(as_admin(server), autocommit=True) as admin:
            admin.execute(sql)

    # The worker migrates, and makes the lake.
    monkeypatch.setenv("LAVRA_CATALOG_URL", _url(credentials, server, "worker"))
    settings = load_settings(project)
    worker = open_catalog(settings)
    storage = open_storage(settings)
    with connect_duckdb(storage) as duck:
        attach_lake(duck, worker, storage)
        duck.execute("create schema lake.s; create table lake.s.t as select 42 as a")
    with worker.connect() as connection:
        connection.execute("create schema sqlmesh")

    # The service opens the same catalog, reads the lake, and can change neither.
    monkeypatch.setenv("LAVRA_CATALOG_URL", _url(credentials, server, "service"))
    service = open_catalog(load_settings(project))
    with connect_duckdb(storage) as duck:
        attach_lake(duck, service, storage, read_only=True)
        assert duck.execute("select a from lake.s.t").fetchone() == (42,)
    assert _refused(service, "insert into lavra.lake_generation (generation) values (7)")
    assert _refused(service, "delete from ducklake.ducklake_snapshot")
    assert _refused(service, "create schema mine")
    assert _refused(service, "create table public.mine (a int)")

    # Superset has its own database, and nobody gets into another's.
    superset = Catalog(_url(credentials, server, "superset"))
    with superset.connect() as connection:
        connection.execute("create table public.dashboards (id int)")
    for part, database in (("superset", "lavra"), ("service", "superset"), ("worker", "superset")):
        other = _url(credentials, server, part).rsplit("/", 1)[0] + f"/{database}"
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(other)


def test_the_roles_come_after_the_lake_too(
    credentials: Credentials, server: LocalPostgres, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema that was there before the service's role is readable all the same."""
    with psycopg.connect(as_admin(server), autocommit=True) as admin:
        admin.execute(credentials.run().stdout)
        admin.execute(
            "alter default privileges for role lavra_worker"
            " revoke usage on schemas from lavra_service"
        )
        monkeypatch.setenv("LAVRA_CATALOG_URL", _url(credentials, server, "worker"))
        open_catalog(load_settings(project))
        monkeypatch.setenv("LAVRA_CATALOG_URL", _url(credentials, server, "service"))
        service = Catalog(_url(credentials, server, "service"))
        assert _refused(service, "select * from lavra.release")
        admin.execute(credentials.run("--part", "service").stdout)
    with Catalog(_url(credentials, server, "service")).connect() as connection:
        assert connection.execute("select * from lavra.release").fetchall() == []


def _url(credentials: Credentials, server: LocalPostgres, part: str) -> str:
    """Return the part's URL, for a server that is on another port and without TLS."""
    plain = credentials.secret(f"url-{part}").split("?", 1)[0]
    return plain.replace(":5432/", f":{port_of(server)}/")


def _refused(catalog: Catalog, sql: str) -> bool:
    try:
        with catalog.connect() as connection:
            connection.execute(sql)
    except CatalogError as error:
        return "permission denied" in str(error)
    return False
