"""Bearer tokens by OpenID Connect: who signed them is asked of the issuer, and kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import jwt

from lavra.access.caller import Caller
from lavra.errors import NotReady, Unauthenticated

if TYPE_CHECKING:
    from lavra.settings import Settings

logger = logging.getLogger("query_service")

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Asymmetric ones only: with them no issuer's public key can be mistaken for a shared secret."""

LEEWAY_S = 60
"""How far the issuer's clock may be from ours."""

FRESH_S = 3600.0
"""Keys are fetched anew after this long ..."""

STALE_S = 24 * 3600.0
"""... and used for this long when the issuer cannot be reached."""

REFETCH_S = 10.0
"""An unknown key id, or a failed fetch, is a reason to ask the issuer at most this often."""

TIMEOUT_S = 5.0
MOST_BYTES = 1_000_000
LEAST_RSA_BITS = 2048


@dataclass
class _Keys:
    by_id: Mapping[str, jwt.PyJWK] = field(default_factory=dict)
    fetched_at: float = float("-inf")
    asked_at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Issuers:
    """Checks tokens of the issuers that the settings trust.

    Args:
        settings: Name issuers, audiences and claims.
        client: Fetches discovery documents and keys; for tests.
    """

    def __init__(self, settings: Settings, client: httpx.AsyncClient | None = None) -> None:
        self._settings = settings
        self._keys = {issuer: _Keys() for issuer in settings.oidc_issuers}
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    def trusts(self, issuer: str) -> bool:
        """Whether tokens of an issuer are looked at."""
        return issuer in self._keys

    async def check(self, token: str, issuer: str) -> tuple[Caller, float]:
        """Return whose token this is, and until when (seconds since the epoch).

        Raises:
            Unauthenticated: it proves nothing.
            NotReady: the issuer's keys are not known and cannot be fetched now.
        """
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS or "crit" in header:
            raise Unauthenticated("The token's algorithm is not accepted.")
        key = await self._key(issuer, header.get("kid"))
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=list(self._settings.oidc_audiences),
                issuer=issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"The token is not valid: {explain(error)}.") from None
        return self._caller(claims), float(claims["exp"])

    def _caller(self, claims: dict[str, Any]) -> Caller:
        name = claims.get(self._settings.oidc_user_claim)
        if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
            raise Unauthenticated(
                f"The token names no user: it has no claim {self._settings.oidc_user_claim!r}."
            )
        if self._settings.oidc_user_claim == "email" and claims.get("email_verified") is False:
            raise Unauthenticated("The token's email address is not verified.")
        return Caller(name, "token", self._roles(claims), claims)

    def _roles(self, claims: dict[str, Any]) -> frozenset[str]:
        found: Any = claims
        for part in self._settings.oidc_roles_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, str):
            found = found.split()
        if not isinstance(found, list):
            return frozenset()
        return frozenset(role for role in found if isinstance(role, str))

    async def _key(self, issuer: str, key_id: Any) -> jwt.PyJWK:
        keys = self._keys[issuer]
        if self._is_due(keys, key_id):
            async with keys.lock:  # those who come meanwhile wait for one fetch
                if self._is_due(keys, key_id):
                    await self._fetch(issuer, keys)
        if time.monotonic() - keys.fetched_at > STALE_S:
            raise NotReady(
                "The token cannot be checked: its issuer's keys cannot be fetched.",
                remedy="Try again in a moment.",
            )
        if key_id is None and len(keys.by_id) == 1:
            return next(iter(keys.by_id.values()))
        found = keys.by_id.get(key_id) if isinstance(key_id, str) else None
        if found is None:
            raise Unauthenticated("The token is signed with a key that its issuer does not have.")
        return found

    @staticmethod
    def _is_due(keys: _Keys, key_id: Any) -> bool:
        now = time.monotonic()
        wanted = now - keys.fetched_at > FRESH_S or (
            isinstance(key_id, str) and key_id not in keys.by_id
        )
        return wanted and now - keys.asked_at > REFETCH_S

    async def _fetch(self, issuer: str, keys: _Keys) -> None:
        keys.asked_at = time.monotonic()
        try:
            keys.by_id = await self._read_keys(issuer)
        except (httpx.HTTPError, ValueError, jwt.PyJWTError) as error:
            logger.warning("the keys of %s cannot be fetched: %s", issuer, error)
            return
        keys.fetched_at = time.monotonic()

    async def _read_keys(self, issuer: str) -> dict[str, jwt.PyJWK]:
        found = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise ValueError("its discovery document names another issuer")
        address = str(found.get("jwks_uri"))
        if urlsplit(address).scheme != "https" and urlsplit(issuer).scheme == "https":
            raise ValueError("its keys are not behind https")
        return usable(await self._get(address))

    async def _get(self, url: str) -> dict[str, Any]:
        async with self._client.stream("GET", url) as response:
            response.raise_for_status()
            data = b""
            async for part in response.aiter_bytes():
                data += part
                if len(data) > MOST_BYTES:
                    raise ValueError("its answer is too large")
        found = httpx.Response(200, content=data).json()
        if not isinstance(found, dict):
            raise ValueError("its answer is no object")  # noqa: TRY004 - about what was read
        return found


def usable(document: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """Return the keys of a JWKS that may sign tokens, by id: public, for signatures, not weak."""
    found: dict[str, jwt.PyJWK] = {}
    for entry in document.get("keys") or []:
        if entry.get("kty") not in {"RSA", "EC", "OKP"} or entry.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK(entry)
        except jwt.PyJWTError:
            continue  # of a kind that we do not know
        if key.algorithm_name not in ALGORITHMS:
            continue
        if entry["kty"] == "RSA" and key.key.key_size < LEAST_RSA_BITS:
            continue
        found[str(entry.get("kid", ""))] = key
    return found


def explain(error: jwt.PyJWTError) -> str:
    """Return what is wrong with a token, in words that hold nothing of it."""
    reasons: dict[type[jwt.PyJWTError], str] = {
        jwt.ExpiredSignatureError: "it has expired",
        jwt.ImmatureSignatureError: "it is not valid yet",
        jwt.InvalidAudienceError: "it was made for another audience",
        jwt.InvalidIssuerError: "it is of another issuer",
        jwt.InvalidSignatureError: "its signature is wrong",
        jwt.MissingRequiredClaimError: "it lacks a claim",
    }
    return next((text for kind, text in reasons.items() if isinstance(error, kind)),
                "it is malformed")  # fmt: skip
