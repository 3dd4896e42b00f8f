"""The secret with which Superset signs who asks, and what both sides agree on about it.

Superset makes a token for each request (HS256; ``sub`` is its user, ``roles`` are its roles, valid
for a minute); the service believes the signature and nothing else of what Superset says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lavra.errors import ConfigurationError
from lavra.local.private_files import kept_secret

if TYPE_CHECKING:
    from pathlib import Path

    from lavra.settings import Settings

ISSUER = "urn:lavra:superset"
LEAST_LENGTH = 32


def audience(settings: Settings) -> str:
    """Return the audience of the tokens that one lake's Superset signs."""
    return f"urn:lavra:service:{settings.name}"


def signing_secret(settings: Settings, *, make: bool = False) -> str | None:
    """Return the secret: the setting's, or the one of this machine's state directory.

    Args:
        settings: Of the lake.
        make: Make one when there is none.

    Raises:
        ConfigurationError: the setting's is too short to be safe.
    """
    given = settings.superset_signing_secret.get_secret_value()
    if given:
        if len(given) < LEAST_LENGTH:
            raise ConfigurationError(
                f"LAVRA_SUPERSET_SIGNING_SECRET is shorter than {LEAST_LENGTH} characters.",
                remedy="Make one with `openssl rand -base64 48`.",
            )
        return given
    path = _path(settings)
    return kept_secret(path, 48) if make or path.exists() else None


def _path(settings: Settings) -> Path:
    return settings.state / "superset" / "signing_secret"
