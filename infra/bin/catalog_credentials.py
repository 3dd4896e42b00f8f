#!/usr/bin/env python3
"""Make the parts' passwords for the catalog: into Secret Manager, and nowhere else.

    terraform -chdir=infra/environments/dev output -json catalog_credentials \
        | infra/bin/catalog_credentials.py > roles.sql

Each part's URL, with a new password, becomes a new version of its secret; so does the certificate
of the server's authority. ``roles.sql`` makes the roles and says what each may do: run it in the
database ``lavra`` as ``postgres``, for instance in Cloud SQL Studio. It holds no password, only
what a server needs to check one (SCRAM-SHA-256).

Needs gcloud, logged in as someone who may add versions to the secrets. Run it again to change all
passwords, or with ``--part NAME`` one part's; run the new ``roles.sql`` at once, because a part
that starts in between cannot log in. If it fails midway, run it again: nothing is half made.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
import secrets
import subprocess
import sys
from typing import Any
from urllib.parse import quote, urlencode

CERTIFICATE = "/etc/lavra/catalog/ca.pem"
ITERATIONS = 4096  # Postgres's own default
NAME = re.compile(r"[a-z][a-z0-9_]*")

_GRANT_WHAT_IS_THERE = """\
do $$ declare name text; begin
  for name in select nspname from pg_namespace where pg_get_userbyid(nspowner) = 'lavra_worker' loop
    execute format('grant usage on schema %I to lavra_service', name);
    execute format('grant select on all tables in schema %I to lavra_service', name);
  end loop;
end $$;"""


def scram_verifier(password: str, salt: bytes) -> str:
    """Return what Postgres keeps of a password (RFC 5802, SHA-256)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(b).decode() for b in (salt, stored, server))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt64}${stored64}:{server64}"


def postgres_url(host: str, role: str, password: str, database: str, certificate: str) -> str:
    """Return a URL that has the server's certificate checked, by the authority in a file."""
    options = urlencode({"sslmode": "verify-ca", "sslrootcert": certificate}, safe="/")
    return f"postgresql://{role}:{quote(password, safe='')}@{host}:5432/{database}?{options}"


def make_role(role: str, verifier: str | None) -> list[str]:
    """Return the SQL that makes a role, if there is none, with a password if one is given."""
    missing = f"not exists (select from pg_roles where rolname = '{role}')"
    lines = [f"do $$ begin if {missing} then create role {role}; end if; end $$;"]
    if verifier:
        lines.append(f"alter role {role} login password '{verifier}';")
    return lines


def server_certificate(given: dict[str, Any]) -> str:
    """Return the certificate of an instance's authority."""
    certificate = _gcloud(
        "sql", "instances", "describe", given["instance"],
        f"--project={given['project_id']}", "--format=value(serverCaCert.cert)",
    )  # fmt: skip
    if "BEGIN CERTIFICATE" not in certificate:
        sys.exit(f"The instance {given['instance']} shows no certificate; is it running?")
    return certificate


def roles_sql(verifiers: dict[str, str]) -> str:
    """Return the SQL that makes the roles, whatever of them is there already.

    Args:
        verifiers: Role => what the server keeps of its password; roles that are not in it keep
            the password they have.
    """
    lines = ["-- Run in the database lavra, as postgres. May be run again."]
    for role in ("lavra_service", "lavra_superset", "lavra_worker"):
        lines += make_role(role, verifiers.get(role))
    lines += [
        # Nobody gets into a database by default.
        "revoke connect, create, temporary on database lavra from public;",
        "revoke connect, create, temporary on database superset from public;",
        # The worker makes and owns the schemas of DuckLake, SQLMesh and Lavra.
        "grant lavra_worker to current_user;",
        "grant connect, create, temporary on database lavra to lavra_worker;",
        # The service reads what the worker makes, now and later.
        "grant connect on database lavra to lavra_service;",
        "alter default privileges for role lavra_worker grant usage on schemas to lavra_service;",
        "alter default privileges for role lavra_worker grant select on tables to lavra_service;",
        _GRANT_WHAT_IS_THERE,
        # Superset owns its database, and sees no other.
        "grant lavra_superset to current_user;",
        "alter database superset owner to lavra_superset;",
        "grant connect on database superset to lavra_superset;",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Read the module's output from standard input; print the SQL."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--part", help="service, superset or worker; default: all of them")
    options = parser.parse_args(arguments)
    catalog: dict[str, Any] = json.load(sys.stdin)
    users: dict[str, dict[str, str]] = catalog["users"]
    if options.part and options.part not in users:
        parser.error(f"--part is one of {', '.join(sorted(users))}")

    add_version(catalog, catalog["ca_secret"], server_certificate(catalog))
    verifiers = {}
    for part, user in sorted(users.items()):
        if options.part in (None, part):
            if not (NAME.fullmatch(user["role"]) and NAME.fullmatch(user["database"])):
                sys.exit(f"{user['role']} or {user['database']} is no plain name.")
            password = secrets.token_urlsafe(32)
            verifiers[user["role"]] = scram_verifier(password, secrets.token_bytes(16))
            url = postgres_url(
                catalog["host"], user["role"], password, user["database"], CERTIFICATE
            )
            add_version(catalog, user["secret"], url)
    sys.stdout.write(roles_sql(verifiers))


def add_version(given: dict[str, Any], secret: str, value: str) -> None:
    """Add a version to a secret of the project."""
    # By standard input: arguments can be read by every process of the machine.
    _gcloud(
        "secrets", "versions", "add", secret,
        f"--project={given['project_id']}", "--data-file=-", value=value,
    )  # fmt: skip
    print(f"{secret}: new version", file=sys.stderr)


def _gcloud(*arguments: str, value: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["gcloud", *arguments, "--quiet"],
            input=value,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    except FileNotFoundError:
        sys.exit("gcloud is not installed: https://cloud.google.com/sdk/docs/install")
    except subprocess.CalledProcessError as error:
        sys.exit(f"gcloud {' '.join(arguments[:3])} failed (exit code {error.returncode}).")
    return done.stdout


if __name__ == "__main__":
    main()
