"""API keys: ``lavra_<id>_<secret>``. The id may be shown, the secret is kept only as a hash."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from lavra.access.log import Entry, insert_entries
from lavra.errors import AccessError

if TYPE_CHECKING:
    import psycopg

CHANNEL = "lavra_api_key"
"""``NOTIFY`` channel: some key was made, changed or revoked."""

KEY = re.compile(r"lavra_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
"""The form of a key; also what must never be seen in a log."""

_SECRETS = re.compile(
    r"(lavra_[a-z2-7]{12}_)[A-Za-z0-9_-]{8,}"
    r"|(\beyJ)[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?"
)

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
_ROLE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_]{1,63}")


@dataclass(frozen=True)
class ApiKey:
    """A key as the catalog holds it.

    Attributes:
        id: The half that may be shown.
        name: Who asks with it.
        secret_hash: SHA-256 of the other half.
        roles: The roles that it carries.
        environments: The environments that it reaches; None for all.
        description: For people.
        created_at: When it was made.
        expires_at: When it stops working; None for never.
        revoked_at: When it was revoked.
        replaces: The key that a rotation ends.
    """

    id: str
    name: str
    secret_hash: bytes
    roles: frozenset[str]
    environments: frozenset[str] | None
    description: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    replaces: str | None = None

    def state(self, now: datetime) -> str:
        """Return ``active``, ``expired`` or ``revoked``."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now else "active"

    def to_dict(self) -> dict[str, Any]:
        """Return all but the hash, for a listing."""
        shown = asdict(self)
        del shown["secret_hash"]
        return shown | {
            "roles": sorted(self.roles),
            "environments": sorted(self.environments) if self.environments is not None else None,
            "state": self.state(datetime.now(UTC)),
        }


def without_secrets(text: str) -> str:
    """Return a text with what looks like a key or a token cut short: people paste them."""
    if "lavra_" not in text and "eyJ" not in text:
        return text
    return _SECRETS.sub(lambda found: f"{found[1] or found[2]}***", text)


def digest(secret: str) -> bytes:
    """Return what is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def create_key(
    connection: psycopg.Connection,
    name: str,
    *,
    roles: Collection[str] = (),
    environments: Collection[str] | None = None,
    lifetime: timedelta | None = None,
    description: str = "",
) -> tuple[ApiKey, str]:
    """Make a key; return it with its whole text, which is known only now.

    Raises:
        AccessError: the name is taken by an active key, or something is misspelt.
    """
    _check(name, _NAME, "name", "small letters, digits and ._@-")
    for role in roles:
        _check(role, _ROLE, "role", "small letters, digits, _ and -")
    for environment in environments or ():
        _check(environment, _ENVIRONMENT, "environment", "letters, digits and _")
    _lock(connection)
    if any(key.name == name and key.state(datetime.now(UTC)) == "active"
           for key in list_keys(connection)):  # fmt: skip
        raise AccessError(
            f"There is an active key {name!r} already.",
            remedy="Choose another name, or `lavra keys rotate` it.",
        )
    return _insert(
        connection,
        name,
        roles=frozenset(roles),
        environments=_scope(environments),
        lifetime=lifetime,
        description=description,
    )


def rotate_key(
    connection: psycopg.Connection,
    name_or_id: str,
    *,
    overlap: timedelta = timedelta(hours=24),
    lifetime: timedelta | None = None,
) -> tuple[ApiKey, str]:
    """Make a key with the name, roles and scope of another, which stops working after ``overlap``.

    Args:
        connection: To the catalog.
        name_or_id: The key to replace.
        overlap: How long both work.
        lifetime: Of the new key; the old one's by default.

    Raises:
        AccessError: there is no such active key.
    """
    _lock(connection)
    old = _newest_active(connection, name_or_id)
    if lifetime is None and old.expires_at:
        lifetime = old.expires_at - old.created_at
    made = _insert(
        connection,
        old.name,
        roles=old.roles,
        environments=old.environments,
        lifetime=lifetime,
        description=old.description,
        replaces=old.id,
    )
    connection.execute(
        "update lavra.api_key set expires_at = least(expires_at, %s) "
        "where name = %s and id <> %s and revoked_at is null",
        (datetime.now(UTC) + overlap, old.name, made[0].id),
    )
    return made


def revoke_key(connection: psycopg.Connection, name_or_id: str) -> list[ApiKey]:
    """Revoke the key of this id, or every key of this name; return those that worked until now.

    Raises:
        AccessError: there is none that is active.
    """
    _lock(connection)
    found = _active(connection, name_or_id)
    ids = [key.id for key in found]
    now = datetime.now(UTC)
    connection.execute("update lavra.api_key set revoked_at = %s where id = any(%s)", (now, ids))
    _record(connection, "revoked", *found)
    return [replace(key, revoked_at=now) for key in found]


def list_keys(connection: psycopg.Connection) -> list[ApiKey]:
    """Return every key that ever was, newest first."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("select * from lavra.api_key order by created_at desc, id").fetchall()
    for row in rows:
        row["roles"] = frozenset(row["roles"])
        row["environments"] = _scope(row["environments"])
    return [ApiKey(**row) for row in rows]


def _insert(
    connection: psycopg.Connection,
    name: str,
    *,
    roles: frozenset[str],
    environments: frozenset[str] | None,
    lifetime: timedelta | None,
    description: str,
    replaces: str | None = None,
) -> tuple[ApiKey, str]:
    key_id = base64.b32encode(secrets.token_bytes(8)).decode().lower()[:12]
    secret = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    key = ApiKey(
        key_id, name, digest(secret), roles, environments, description, now,
        now + lifetime if lifetime is not None else None, None, replaces,
    )  # fmt: skip
    connection.execute(
        "insert into lavra.api_key (id, name, secret_hash, roles, environments, description, "
        "created_at, expires_at, replaces) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            key.id, key.name, key.secret_hash, sorted(roles),
            sorted(environments) if environments is not None else None,
            description, key.created_at, key.expires_at, replaces,
        ),
    )  # fmt: skip
    _record(connection, "rotated" if replaces else "created", key)
    return key, f"lavra_{key_id}_{secret}"


def _record(connection: psycopg.Connection, outcome: str, *keys: ApiKey) -> None:
    insert_entries(
        connection,
        [
            Entry(event="key", outcome=outcome, caller=key.name, kind="key", key_id=key.id,
                  detail=f"replaces {key.replaces}" if key.replaces else None)
            for key in keys
        ],
    )  # fmt: skip


def _active(connection: psycopg.Connection, name_or_id: str) -> list[ApiKey]:
    now = datetime.now(UTC)
    found = [
        key
        for key in list_keys(connection)
        if name_or_id in {key.id, key.name} and key.state(now) == "active"
    ]
    if not found:
        raise AccessError(
            f"There is no active key {name_or_id!r}.", remedy="`lavra keys list` shows them."
        )
    return found


def _newest_active(connection: psycopg.Connection, name_or_id: str) -> ApiKey:
    return _active(connection, name_or_id)[0]


def _scope(environments: Collection[str] | None) -> frozenset[str] | None:
    return frozenset(environments) if environments else None


def _lock(connection: psycopg.Connection) -> None:
    """One change of keys at a time, until the transaction ends."""
    connection.execute("lock table lavra.api_key in share row exclusive mode")


def _check(value: str, form: re.Pattern[str], what: str, allowed: str) -> None:
    if not form.fullmatch(value):
        # The value is not repeated: a key pasted in the wrong place would be shown.
        raise AccessError(f"That is no {what} for a key.", remedy=f"Use {allowed}.")
