#!/usr/bin/env python3
"""Make the passwords of a source's users, and the generator's token: into Secret Manager alone.

    terraform -chdir=infra/environments/dev output -json source_credentials \
        | infra/bin/source_credentials.py > source.sql

The generator's URL with a new password, the replication user's password, the generator's token and
the certificate of the server's authority become new versions of their secrets. ``source.sql`` makes
the roles: run it in the source's database as ``postgres``. It holds no password.

Needs gcloud, and may be run again, as infra/bin/catalog_credentials.py; run the new ``source.sql``
at once.
"""

from __future__ import annotations

import json
import secrets
import sys
from typing import Any

from catalog_credentials import (
    NAME,
    add_version,
    make_role,
    postgres_url,
    scram_verifier,
    server_certificate,
)

CERTIFICATE = "/etc/lavra/source/ca.pem"


def roles_sql(database: str, roles: dict[str, str], verifiers: dict[str, str]) -> str:
    """Return the SQL that makes the two roles, whatever of them is there already.

    Args:
        database: The source's database.
        roles: The names of ``generator``, who makes and owns the tables, and ``replication``.
        verifiers: Role => what the server keeps of its password.
    """
    writer, follower = roles["generator"], roles["replication"]
    lines = [f"-- Run in the database {database}, as postgres. May be run again."]
    for role in (writer, follower):
        lines += make_role(role, verifiers.get(role))
    lines += [
        f"revoke connect, create, temporary on database {database} from public;",
        f"grant connect on database {database} to {writer}, {follower};",
        # Tables are the generator's; only who owns a table may publish it.
        f"grant usage, create on schema public to {writer};",
        f"grant {writer} to {follower};",
        f"grant create on database {database} to {follower};",
        f"alter role {follower} replication;",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the module's output from standard input; print the SQL."""
    source: dict[str, Any] = json.load(sys.stdin)
    roles: dict[str, str] = source["roles"]
    for name in (source["database"], *roles.values()):
        if not NAME.fullmatch(name):
            sys.exit(f"{name} is no plain name.")
    add_version(source, source["ca_secret"], server_certificate(source))
    passwords = {part: secrets.token_urlsafe(32) for part in roles}
    url = postgres_url(
        source["host"], roles["generator"], passwords["generator"], source["database"], CERTIFICATE
    )
    add_version(source, source["secrets"]["generator_url"], url)
    add_version(source, source["secrets"]["generator_token"], secrets.token_urlsafe(32))
    add_version(source, source["secrets"]["replication_password"], passwords["replication"])
    verifiers = {
        roles[part]: scram_verifier(password, secrets.token_bytes(16))
        for part, password in passwords.items()
    }
    sys.stdout.write(roles_sql(source["database"], roles, verifiers))


if __name__ == "__main__":
    main()
