"""The generator as a small service: ``POST /generate?n=50`` lets maintenance go on.

It stands in for the airline's own application: what it writes is ordinary rows in an ordinary
Postgres, and nothing of it knows of the lake.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Query
from starlette.middleware.trustedhost import TrustedHostMiddleware

from lavra.errors import ConfigurationError, SourceError
from lavra.workloads.aviation.source import ensure_source, fill_database, generate

if TYPE_CHECKING:
    from lavra.settings import Settings

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
MOST_EVENTS = 10_000
"""Events that one request may ask for."""

TICK_S = 0.5
"""Between two rounds of the events that come by themselves."""

_log = logging.getLogger("lavra.aviation")


def create_app(settings: Settings, url: str) -> FastAPI:
    """Return the generator over a maintenance database.

    Raises:
        ConfigurationError: it would listen where others are, without a token.
    """
    token = settings.generator_token.get_secret_value()
    if settings.generator_host not in LOOPBACK and not token:
        raise ConfigurationError(
            f"The generator would listen on {settings.generator_host}, where others reach it, "
            "without a token.",
            remedy="Set LAVRA_GENERATOR_TOKEN; requests then send `Authorization: Bearer ...`.",
        )

    def authorised(authorization: Annotated[str, Header()] = "") -> None:
        given = authorization.removeprefix("Bearer ")
        if token and not hmac.compare_digest(given.encode(), token.encode()):
            raise HTTPException(401, "The token of the generator is needed.")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        ticking = asyncio.create_task(_tick(url, settings.generator_rate))
        yield
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking

    app = FastAPI(title="Lavra: an airline's maintenance", lifespan=lifespan)
    if not token:
        # A page in a browser of this machine may reach loopback, but not under a loopback name.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))

    @app.post("/generate", dependencies=[Depends(authorised)])
    def post_generate(
        n: Annotated[int, Query(ge=1, le=MOST_EVENTS, description="Events to record.")] = 10,
        seed: Annotated[int | None, Query(description="Same seed, same changes.")] = None,
    ) -> dict[str, Any]:
        """Record ``n`` maintenance events, with what comes along, in one transaction."""
        try:
            return generate(url, n, seed=seed)
        except psycopg.OperationalError as error:
            _log.warning("the maintenance database is away: %s", error)
            raise HTTPException(503, "The maintenance database is away; try again.") from error

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Say that the process is up."""
        return {"status": "up"}

    return app


async def _tick(url: str, rate: float) -> None:
    """Record ``rate`` events a second, as long as the service runs."""
    owed = 0.0
    clock = asyncio.get_running_loop().time
    last = clock()
    while rate:
        await asyncio.sleep(TICK_S)
        owed, last = min(owed + rate * (clock() - last), MOST_EVENTS), clock()
        if owed < 1:
            continue
        try:
            await asyncio.to_thread(generate, url, int(owed))
            owed %= 1
        except psycopg.OperationalError as error:
            _log.warning("the maintenance database is away: %s", error)


def run(settings: Settings) -> None:
    """Serve until a signal says stop, over a database that is filled if it is empty.

    Raises:
        ConfigurationError: it would listen where others are, without a token.
        SourceError: the database cannot be reached, or its user may not make tables.
    """
    url = settings.generator_database_url.get_secret_value()
    app = create_app(settings, url or ensure_source(settings).url)
    if url:
        try:
            fill_database(url, settings)
        except psycopg.Error as error:
            raise SourceError(
                f"The maintenance database cannot be filled: {str(error).strip().splitlines()[0]}",
                remedy="Check LAVRA_GENERATOR_DATABASE_URL, and what its user may do.",
            ) from error
    uvicorn.run(
        app,
        host=settings.generator_host,
        port=settings.generator_port,
        log_level=settings.log_level.lower(),
        access_log=False,
    )
