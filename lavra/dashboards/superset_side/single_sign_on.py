"""Logging in through an OpenID Connect provider, with roles by the provider's groups."""

from __future__ import annotations

import logging
from typing import Any

from flask import session
from flask_appbuilder.security.manager import AUTH_OAUTH
from superset.security import SupersetSecurityManager

PROVIDER = "sso"
EVERYONE = "*"
logger = logging.getLogger(__name__)


class SingleSignOn(SupersetSecurityManager):  # type: ignore[misc]
    """Takes people and their groups from the provider's verified claims.

    The identity token's signature, issuer, audience, expiry and nonce are checked by Authlib
    against the keys that the provider publishes.
    """

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:
        """Return the person as Superset keeps them; without a name, nobody."""
        from flask import current_app

        told = current_app.config["LAVRA_SINGLE_SIGN_ON"]
        claims = dict(resp.get("userinfo") or {})
        if not claims:
            logger.warning("the provider sent no identity token")
            return {}
        if told["claim"] not in claims or told["username"] not in claims:
            # Some providers tell groups only where one asks for them; the person is the same.
            more = self.oauth_remotes[provider].userinfo(token=resp)
            if more.get("sub") == claims.get("sub"):
                claims = {**more, **claims}
        username = claims.get(told["username"])
        if not isinstance(username, str) or not username:
            logger.warning("the provider does not tell the claim %s", told["username"])
            return {}
        if username == told["admin"]:
            logger.warning("the provider names the lake's own administrator; refused")
            return {}
        if told["username"] == "email" and claims.get("email_verified") is False:
            logger.warning("the provider has not verified %s", username)
            return {}
        groups = claims.get(told["claim"]) or []
        groups = [groups] if isinstance(groups, str) else groups
        return {
            "username": username,
            "email": claims.get("email") or f"{username}@sso.invalid",
            "first_name": claims.get("given_name") or claims.get("name") or username,
            "last_name": claims.get("family_name") or "",
            "role_keys": [EVERYONE, *(g for g in groups if isinstance(g, str) and g != EVERYONE)],
        }

    def auth_user_oauth(self, userinfo: dict[str, Any]) -> Any:
        """Return the user, made or brought up to date; None when no role is theirs."""
        if not userinfo.get("username"):
            return None
        if not self.get_roles_from_keys(userinfo["role_keys"]):
            logger.warning("no role of roles.yaml is for %s", userinfo["username"])
            return None
        return super().auth_user_oauth(userinfo)

    def set_oauth_session(self, provider: str, oauth_response: dict[str, Any]) -> None:  # noqa: ARG002 - called by position
        """Note the provider. Its tokens are not needed again, and would not fit into a cookie."""
        session["oauth_provider"] = provider


def configuration(told: dict[str, Any]) -> dict[str, Any]:
    """Return Superset's settings for a provider.

    Args:
        told: ``issuer``, ``client_id``, ``client_secret``, ``mapping`` of groups to roles, and
            what :class:`SingleSignOn` reads: ``claim``, ``username``, ``admin``.
    """
    discovery = f"{told['issuer'].rstrip('/')}/.well-known/openid-configuration"
    return {
        "AUTH_TYPE": AUTH_OAUTH,
        "CUSTOM_SECURITY_MANAGER": SingleSignOn,
        "OAUTH_PROVIDERS": [
            {
                "name": PROVIDER,
                "icon": "fa-key",
                "token_key": "access_token",
                "remote_app": {
                    "client_id": told["client_id"],
                    "client_secret": told["client_secret"],
                    "server_metadata_url": discovery,
                    "client_kwargs": {
                        "scope": told["scope"],
                        "code_challenge_method": "S256",
                    },
                },
            }
        ],
        # The lake's own administrator, whom no provider may name, keeps a password: only for
        # the API, which `lavra dashboards check` asks.
        "AUTH_API_LOGIN_ALLOW_MULTIPLE_PROVIDERS": True,
        "AUTH_USER_REGISTRATION": True,
        "AUTH_USER_REGISTRATION_ROLE": "Public",
        "AUTH_ROLES_SYNC_AT_LOGIN": True,
        "AUTH_ROLES_MAPPING": told["mapping"],
        "LAVRA_SINGLE_SIGN_ON": {name: told[name] for name in ("claim", "username", "admin")},
    }
