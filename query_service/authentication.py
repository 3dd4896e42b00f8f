"""Who asks: proven from one credential, before any route sees the request."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
from starlette.datastructures import Headers

from lavra.access.caller import LOOPBACK, Caller
from lavra.access.log import REFUSED, Entry
from lavra.access.signing import ISSUER, audience, signing_secret
from lavra.errors import LavraError, TooManyQueries, Unauthenticated
from query_service.failures import BURST, PER_S, Failures
from query_service.issuers import Issuers, explain
from query_service.problems import problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lavra.settings import Settings
    from query_service.access_log import AccessLog
    from query_service.key_ring import KeyRing

logger = logging.getLogger("query_service")

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""What answers everybody: it says only whether the process is up and has loaded something."""

MOST_CREDENTIAL_BYTES = 8192
SUPERSET_LEEWAY_S = 10
KEPT_TOKENS = 1024
KEPT_TOKEN_S = 60.0

_LOCAL = frozenset({"127.0.0.1", "::1"})
_LOCAL_NAMES = _LOCAL | {"localhost"}
_FORWARDED = frozenset({
    b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip",
    b"via", b"cf-connecting-ip", b"true-client-ip",
})  # fmt: skip
_IN_URL = re.compile(
    rb"lavra_[a-z2-7]{12}_|(?:^|&)(?:api[_-]?key|key|token|access_token|x-api-key|authorization)=",
    re.IGNORECASE,
)


class Authenticator:
    """Proves who asks.

    One credential a request: an API key (``Authorization: Bearer`` or ``X-Api-Key``), an OpenID
    Connect token, or a token that this lake's Superset signed (both ``Authorization: Bearer``).
    None at all is good only on loopback, and only where a setting allows it.

    Args:
        settings: Issuers, audiences, proxies, loopback.
        ring: The API keys.
        issuers: The token issuers.
    """

    def __init__(self, settings: Settings, ring: KeyRing, issuers: Issuers) -> None:
        self._settings = settings
        self._ring = ring
        self._issuers = issuers
        self._audience = audience(settings)
        self._failures = Failures()
        self._recorded = Failures()
        self._tokens: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def authenticate(self, headers: Headers, peer: str | None) -> Caller:
        """Return who asks.

        Args:
            headers: Of the request.
            peer: The address at the other end of the connection.

        Raises:
            Unauthenticated: nobody is proven.
            TooManyQueries: the client showed too many wrong credentials.
            NotReady: a token's issuer cannot be reached.
        """
        given = _credential(headers)
        if given is None:
            if self._is_loopback(headers, peer):
                return LOOPBACK
            raise Unauthenticated(
                "Say who asks: send an API key or a token.",
                remedy="`lavra keys create` makes a key; send it as Authorization: Bearer.",
            )
        client = self.client_of(headers, peer)
        fingerprint = hashlib.sha256(given.encode()).digest()
        if self._failures.must_wait(client, fingerprint):
            raise TooManyQueries(
                "Too many wrong keys or tokens came from this address.",
                remedy=f"Wait {1 / PER_S:.0f} seconds.",
            )
        try:
            caller = await self._prove(given, fingerprint)
        except Unauthenticated:
            if self._failures.failed(client):
                logger.warning("%d wrong credentials from %s: it must wait", BURST, client)
            raise
        self._failures.succeeded(fingerprint)
        return caller

    def is_worth_recording(self, client: str, error: LavraError) -> bool:
        """Whether a refusal is one of the first of its client, not one of a flood."""
        if isinstance(error, TooManyQueries) or self._recorded.must_wait(client, b""):
            return False
        self._recorded.failed(client)
        return True

    def client_of(self, headers: Headers, peer: str | None) -> str:
        """Return the client's address: the peer's, or what the outermost own proxy saw."""
        hops = self._settings.service_proxies
        if hops:
            seen = [part.strip() for part in ",".join(
                headers.getlist("x-forwarded-for")).split(",") if part.strip()]  # fmt: skip
            if len(seen) >= hops:
                return seen[-hops][:64]
        return peer or "local"

    async def _prove(self, given: str, fingerprint: bytes) -> Caller:
        if given.count(".") != 2:
            return self._ring.check(given)
        now = time.time()
        known = self._tokens.get(fingerprint)
        if known and known[0] > now:
            return known[1]
        try:
            # Only to choose who may have signed it; everything is verified after that.
            issuer = jwt.decode(given, options={"verify_signature": False}).get("iss")
            if issuer == ISSUER:
                return self._superset(given)
            if not isinstance(issuer, str) or not self._issuers.trusts(issuer):
                raise Unauthenticated("The token's issuer is not trusted here.")
            caller, until = await self._issuers.check(given, issuer)
        except (jwt.PyJWTError, ValueError):
            raise Unauthenticated("The token is malformed.") from None
        self._tokens[fingerprint] = (min(until, now + KEPT_TOKEN_S), caller)
        if len(self._tokens) > KEPT_TOKENS:
            self._tokens.popitem(last=False)
        return caller

    def _superset(self, token: str) -> Caller:
        secret = signing_secret(self._settings)
        if secret is None:
            raise Unauthenticated("This service knows no Superset.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, secret, algorithms=["HS256"], audience=self._audience, issuer=ISSUER,
                leeway=SUPERSET_LEEWAY_S, options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            reason = explain(error)
            raise Unauthenticated(f"Superset's signature is not valid: {reason}.") from None
        roles = claims.get("roles")
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise Unauthenticated("Superset's signature names no roles.")
        # Superset's administrators name its roles, so none of them is one of the lake's own.
        own = frozenset(f"superset:{role}" for role in roles)
        return Caller(str(claims["sub"]), "superset", own, claims)

    def _is_loopback(self, headers: Headers, peer: str | None) -> bool:
        """Whether a program of this machine asks: no proxy for others, no page of another site."""
        if not self._settings.service_allow_loopback or peer not in _LOCAL:
            return False
        if not _FORWARDED.isdisjoint(name for name, _ in headers.raw):
            return False
        hosts = headers.getlist("host")
        origins = headers.getlist("origin")
        return (
            len(hosts) == 1
            and _host_of(f"//{hosts[0]}") in _LOCAL_NAMES
            and all(_host_of(origin) in _LOCAL_NAMES for origin in origins)
            and headers.get("sec-fetch-site", "none") in {"none", "same-origin", "same-site"}
        )


class AuthenticationMiddleware:
    """Puts the caller into ``request.state.caller``, or answers that there is none.

    Every path is closed but :data:`OPEN_PATHS`, those that do not exist included.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through once its caller is known."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        state = scope["app"].state
        authenticator: Authenticator = state.authenticator
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else None
        try:
            if _IN_URL.search(scope["query_string"]):
                raise Unauthenticated(
                    "A key never belongs in a URL: logs and histories keep URLs.",
                    remedy="Send it as Authorization: Bearer, and rotate this one.",
                )
            caller = await authenticator.authenticate(headers, peer)
        except LavraError as error:
            client = authenticator.client_of(headers, peer)
            response = _refuse(
                scope, state.access_log, client, error,
                worth_recording=authenticator.is_worth_recording(client, error),
            )  # fmt: skip
            await response(scope, receive, send)
            return
        scope.setdefault("state", {})
        scope["state"]["caller"] = caller
        scope["state"]["client"] = authenticator.client_of(headers, peer)
        await self._app(scope, receive, send)


def _refuse(
    scope: Scope, log: AccessLog, client: str, error: LavraError, *, worth_recording: bool
) -> ASGIApp:
    # A flood is not recorded line by line: what led to it is there, and the log tells of the wait.
    if worth_recording:
        log.add(
            Entry(
                event="refusal", outcome=REFUSED, code=error.code, client=client,
                route=f"{scope['method']} {scope['path'][:200]}", detail=error.message,
            )
        )  # fmt: skip
    response = problem_response(error)
    if isinstance(error, Unauthenticated):
        response.headers["WWW-Authenticate"] = 'Bearer realm="lavra"'
    elif isinstance(error, TooManyQueries):
        response.headers["Retry-After"] = f"{1 / PER_S:.0f}"
    return response


def _credential(headers: Headers) -> str | None:
    """Return the one credential of a request.

    Raises:
        Unauthenticated: there are several, or it is in a form that nobody uses.
    """
    bearers, keys = headers.getlist("authorization"), headers.getlist("x-api-key")
    if not bearers and not keys:
        return None
    if len(bearers) + len(keys) > 1:
        raise Unauthenticated("Send one key or token, not several.")
    if keys:
        given = keys[0].strip()
    else:
        scheme, _, given = bearers[0].partition(" ")
        given = given.strip()
        if scheme.lower() != "bearer":
            raise Unauthenticated("Only `Authorization: Bearer` is understood.")
    if not given or len(given) > MOST_CREDENTIAL_BYTES or not given.isascii():
        raise Unauthenticated("That is neither a key nor a token.")
    return given


@lru_cache(256)
def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
