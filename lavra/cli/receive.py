"""`lavra ingest receive`: a bucket's events, pushed over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from lavra.cli.console import err
from lavra.cli.ingest_progress import Progress
from lavra.errors import ConfigurationError, Forbidden, Unauthenticated

if TYPE_CHECKING:
    from lavra.sensors.receiver import Senders
    from lavra.settings import Settings

_LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


def receive(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; LAVRA_RECEIVER_HOST by default.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; LAVRA_RECEIVER_PORT by default.")
    ] = None,
    models: Annotated[
        bool, typer.Option("--models/--no-models", help="Whether to run the models that are due.")
    ] = True,
) -> None:
    """Take a bucket's events, pushed by Eventarc or Pub/Sub; land what they tell of, until Ctrl-C.

    Beyond loopback it asks for the token with which Google signs each push.
    """
    import functools  # noqa: PLC0415

    from lavra.settings import load_settings  # noqa: PLC0415

    overrides: dict[str, Any] = {}
    if host is not None:
        overrides["receiver_host"] = host
    if port is not None:
        overrides["receiver_port"] = port
    settings = load_settings(**overrides)
    check_senders(settings)
    try:
        import uvicorn  # noqa: PLC0415

        from lavra.sensors.receiver import Receiver, create_app  # noqa: PLC0415
        from query_service.sockets import listen  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The receiver needs the package {error.name}.",
            remedy="Install it with: pip install 'lavra[ingestion,models,receiver]'",
        ) from error
    from lavra.catalog import open_catalog  # noqa: PLC0415
    from lavra.sensors.models import run_models  # noqa: PLC0415
    from lavra.sensors.watch import Watch  # noqa: PLC0415
    from lavra.storage import open_storage  # noqa: PLC0415

    listener = listen(settings.receiver_host, settings.receiver_port)
    runs = functools.partial(run_models, settings) if models else None
    watch = Watch(settings, open_catalog(settings), open_storage(settings), Progress(), runs)
    err.print(f"Receiving events: http://{settings.receiver_host}:{settings.receiver_port}/")
    app = create_app(Receiver(watch), senders(settings))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, proxy_headers=False, server_header=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def check_senders(settings: Settings) -> None:
    """Refuse a receiver that others can reach while nobody could prove to be a sender.

    Raises:
        ConfigurationError: issuers, audiences or senders are missing.
    """
    given = {
        "LAVRA_OIDC_ISSUERS": settings.oidc_issuers,
        "LAVRA_OIDC_AUDIENCES": settings.oidc_audiences,
        "LAVRA_RECEIVER_SENDERS": settings.receiver_senders,
    }
    missing = [name for name, value in given.items() if not value]
    if not missing or (settings.receiver_host in _LOCAL and not settings.oidc_issuers):
        return
    raise ConfigurationError(
        f"The receiver would listen on {settings.receiver_host} and could not tell who sends: "
        f"{', '.join(missing)} is not set.",
        remedy="Set all three: anybody at Google can have a token made for any audience, so the "
        "senders must be named.",
    )


def senders(settings: Settings) -> Senders:
    """Return who may send: accounts with Google's token, or, without issuers, this machine."""
    return _Accounts(settings) if settings.oidc_issuers else _ThisMachine()


class _Accounts:
    def __init__(self, settings: Settings) -> None:
        from query_service.issuers import Issuers  # noqa: PLC0415

        self._issuers = Issuers(settings)
        self._names = frozenset(settings.receiver_senders)
        self._must_be_verified = settings.oidc_user_claim == "email"

    async def check(self, headers: Mapping[str, str], _peer: str | None) -> None:
        import jwt  # noqa: PLC0415

        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token) <= 8192:
            raise Unauthenticated("Send a token as Authorization: Bearer.")
        try:
            # Only to choose who may have signed it; everything is verified after that.
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            if not isinstance(issuer, str) or not self._issuers.trusts(issuer):
                raise Unauthenticated("The token's issuer is not trusted here.")
            caller, _ = await self._issuers.check(token, issuer)
        except (jwt.PyJWTError, ValueError):
            raise Unauthenticated("The token is malformed.") from None
        if self._must_be_verified and caller.claims.get("email_verified") is not True:
            raise Unauthenticated("The token's email address is not verified.")
        if caller.name not in self._names:
            raise Forbidden(f"{caller.name} may not push events here.")

    async def close(self) -> None:
        await self._issuers.close()


class _ThisMachine:
    """Programs of this machine, but no page of a browser and nobody behind a proxy."""

    async def check(self, headers: Mapping[str, str], peer: str | None) -> None:
        forwarded = {"forwarded", "x-forwarded-for", "x-real-ip", "via", "origin"} & set(headers)
        try:
            name = urlsplit(f"//{headers.get('host', '')}").hostname
        except ValueError:
            name = None
        if peer not in _LOCAL or forwarded or name not in _LOCAL:
            raise Unauthenticated(
                "Without LAVRA_OIDC_ISSUERS only programs of this machine may send."
            )

    async def close(self) -> None:
        pass
