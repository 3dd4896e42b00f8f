"""Superset's word on who asks, signed with the lake's secret."""

from __future__ import annotations

import time

import jwt
from flask import current_app, g
from superset import security_manager

SIGNED_S = 60
"""Good for the request that it is made for, and for as much as clocks differ."""


class Signer:
    """Makes the token of one user's next request."""

    def __init__(self, signing: dict[str, str], username: str, roles: list[str]) -> None:
        self._signing = signing
        self._claims = {"sub": username, "roles": roles}

    def __repr__(self) -> str:
        return "<signed by Superset>"

    def __call__(self) -> str:
        """Return a token that is good for a minute."""
        now = int(time.time())
        claims = {
            **self._claims,
            "iss": self._signing["issuer"],
            "aud": self._signing["audience"],
            "iat": now,
            "exp": now + SIGNED_S,
        }
        return jwt.encode(claims, self._signing["secret"], algorithm="HS256")


def roles_of(username: str | None) -> list[str]:
    """Return the names of the roles that Superset gives a user, or the public."""
    if not username:
        public = current_app.config.get("AUTH_ROLE_PUBLIC")
        return [public] if public else []
    user = getattr(g, "user", None)
    if getattr(user, "username", None) != username:
        user = security_manager.find_user(username=username)
    return sorted({role.name for role in security_manager.get_user_roles(user)}) if user else []
