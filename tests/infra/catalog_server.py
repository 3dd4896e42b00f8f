"""A catalog as Cloud SQL has it: passwords in secrets, roles by SQL, no superuser, TCP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from lavra.catalog.local_postgres import LocalPostgres
from tests.conftest import free_port
from tests.infra.conftest import INFRA

SCRIPT = INFRA / "bin" / "catalog_credentials.py"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
GCLOUD = f"""#!{sys.executable}
import pathlib, sys
folder = pathlib.Path(__file__).with_name("secrets")
folder.mkdir(exist_ok=True)
arguments = sys.argv[1:]
with folder.with_name("calls").open("a") as calls:
    print(*arguments, file=calls)
if arguments[:3] == ["sql", "instances", "describe"]:
    print(folder.with_name("certificate").read_text())
elif arguments[:3] == ["secrets", "versions", "add"]:
    assert "--data-file=-" in arguments
    (folder / arguments[3]).write_text(sys.stdin.read())
else:
    sys.exit(2)
"""


class Credentials:
    """The script, with a gcloud that keeps secrets in a folder."""

    def __init__(self, folder: Path, certificate: str = CERTIFICATE) -> None:
        self.folder = folder
        (folder / "certificate").write_text(certificate)
        gcloud = folder / "gcloud"
        gcloud.write_text(GCLOUD)
        gcloud.chmod(0o755)

    def run(
        self, *arguments: str, given: dict[str, Any] | None = None, script: Path = SCRIPT
    ) -> subprocess.CompletedProcess[str]:
        users = {
            "service": {"database": "lavra", "role": "lavra_service", "secret": "url-service"},
            "superset": {
                "database": "superset",
                "role": "lavra_superset",
                "secret": "url-superset",
            },
            "worker": {"database": "lavra", "role": "lavra_worker", "secret": "url-worker"},
        }
        catalog = {
            "ca_secret": "ca",
            "host": "127.0.0.1",
            "instance": "lavra-test-catalog",
            "project_id": "example",
            "users": users,
        }
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            input=json.dumps(given or catalog),
            env={"PATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text()

    def password(self, part: str) -> str:
        return urlsplit(self.secret(f"url-{part}")).password or ""


@contextmanager
def password_server(
    folder: Path, databases: Sequence[str] = ("lavra", "superset"), **flags: str
) -> Iterator[LocalPostgres]:
    """Run a server on TCP with passwords, whose administrator is no superuser (as on Cloud SQL)."""
    plain = LocalPostgres(folder)
    plain.start()
    with psycopg.connect(plain.url(), autocommit=True) as connection:
        connection.execute("create role admin login createrole createdb replication")
        for database in databases:
            connection.execute(f"create database {database} owner admin".encode())
    plain.leave()
    rules = plain.data / "hba.conf"
    rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    rules.chmod(0o644)
    options = {"listen_addresses": "127.0.0.1", "port": str(free_port()), "hba_file": str(rules)}
    options |= flags
    running = LocalPostgres(folder, options)
    running.start()
    try:
        yield running
    finally:
        running.leave()


def port_of(server: LocalPostgres) -> int:
    """Return the TCP port of a server."""
    return int(server._options["port"])


def as_admin(server: LocalPostgres, database: str = "lavra") -> str:
    """Return the administrator's connection string, over the socket."""
    return f"postgresql://admin@/{database}?host={server.socket_folder}&port={port_of(server)}"
