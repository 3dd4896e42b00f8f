"""A source's users: passwords only in secrets, and what they may do, tried on a real Postgres."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner

from lavra.catalog.local_postgres import LocalPostgres
from lavra.cli.main import build_app
from lavra.settings import load_settings
from lavra.streams.declarations import load_streams
from lavra.streams.sources import open_source
from lavra.workloads.aviation.source import fill_database, generate
from tests.infra.catalog_server import Credentials, as_admin, password_server, port_of
from tests.infra.conftest import INFRA, REPOSITORY

SCRIPT = INFRA / "bin" / "source_credentials.py"
SOURCE: dict[str, Any] = {
    "ca_secret": "ca",
    "database": "fleet",
    "host": "127.0.0.1",
    "instance": "lavra-test-fleet",
    "project_id": "example",
    "roles": {"generator": "fleet_generator", "replication": "fleet_replication"},
    "secrets": {
        "generator_token": "token",
        "generator_url": "generator-url",
        "replication_password": "replication",
    },
}
SLOTS = "select slot_name from pg_replication_slots"
PUBLICATIONS = "select pubname from pg_publication"


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    folder = tmp_path / "cloud"
    folder.mkdir()
    return Credentials(folder)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalPostgres]:
    with password_server(tmp_path / "server", ("fleet", "other"), wal_level="logical") as running:
        yield running


def test_passwords_are_in_the_secrets_and_nowhere_else(credentials: Credentials) -> None:
    done = credentials.run(given=SOURCE, script=SCRIPT)
    assert done.returncode == 0, done.stderr
    url = urlsplit(credentials.secret("generator-url"))
    assert (url.username, url.path) == ("fleet_generator", "/fleet")
    assert "sslmode=verify-ca&sslrootcert=/etc/lavra/source/ca.pem" in url.query
    secret = {url.password, credentials.secret("replication"), credentials.secret("token")}
    assert len(secret) == 3
    calls = (credentials.folder / "calls").read_text()
    for each in secret:
        assert each is not None
        assert len(each) >= 40
        assert each not in done.stdout + done.stderr + calls
    bad = credentials.run(given={**SOURCE, "database": "f; drop"}, script=SCRIPT)
    assert bad.returncode == 1
    assert "no plain name" in bad.stderr


def test_one_writes_and_the_other_follows_until_the_teardown(
    credentials: Credentials, server: LocalPostgres, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(as_admin(server, "fleet"), autocommit=True) as admin:
        for _ in range(2):  # a second time, over what is there
            admin.execute(credentials.run(given=SOURCE, script=SCRIPT).stdout.encode())

    # The generator makes the tables, once, and writes; it may not follow.
    plain = credentials.secret("generator-url").split("?", 1)[0]
    writer = plain.replace(":5432/", f":{port_of(server)}/")
    settings = load_settings(project, workload_scale=0.04)
    for _ in range(2):
        fill_database(writer, settings)
    assert generate(writer, 5)["inserted"]["maintenance_events"] >= 5
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(writer) as connection,
    ):
        connection.execute("select pg_create_logical_replication_slot('mine', 'pgoutput')")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(writer.replace("fleet_generator", "fleet_replication"))

    # The other makes publication and slot, as the stream that is shipped declares them.
    streams = project / "airbyte" / "streams"
    streams.mkdir(parents=True)
    shutil.copy(REPOSITORY / "airbyte" / "streams" / "aviation.yaml", streams)
    for name, value in {
        "DATABASE": "fleet", "HOST": "127.0.0.1", "PASSWORD": credentials.secret("replication"),
        "USERNAME": "fleet_replication",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AVIATION_{name}", value)
    # The stream's file names no port: a source in Cloud SQL is on 5432.
    text = (streams / "aviation.yaml").read_text("utf-8")
    port = f"    port: {port_of(server)}\n    database:"
    (streams / "aviation.yaml").write_text(text.replace("    database:", port, 1), "utf-8")
    monkeypatch.setenv("LAVRA_PROJECT", str(project))
    [stream] = load_streams(project)
    source = open_source(load_settings(project), stream)
    source.open(None, 0)
    source.close()
    with psycopg.connect(as_admin(server, "fleet"), autocommit=True) as admin:
        [(slot,)] = admin.execute(SLOTS).fetchall()
        assert admin.execute(PUBLICATIONS).fetchall() == [(slot,)]

        # What the job does before anything is destroyed; a second time there is nothing.
        runner = CliRunner()
        first = runner.invoke(build_app(), ["stream", "teardown", "--all"])
        assert first.exit_code == 0, first.output
        assert admin.execute(SLOTS).fetchall() == admin.execute(PUBLICATIONS).fetchall() == []
        again = runner.invoke(build_app(), ["stream", "teardown", "--all"])
        assert (again.exit_code, "nothing" in again.output) == (0, True)
        for wrong in ([], ["aviation", "--all"]):
            assert runner.invoke(build_app(), ["stream", "teardown", *wrong]).exit_code == 2
