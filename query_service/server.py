"""Runs the application under uvicorn."""

from __future__ import annotations

import fcntl
import gc
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import uvicorn

from lavra.access.keys import list_keys
from lavra.catalog import open_catalog
from lavra.errors import ConfigurationError, ProcessError
from query_service.app import cache_folder, create_app
from query_service.logs import configure_logging
from query_service.sockets import listen

if TYPE_CHECKING:
    from lavra.settings import Settings

DRAIN_S = 10
"""Running queries get this long to end after a stop is asked for."""


def run(settings: Settings) -> bool:
    """Serve until a signal says stop; return whether the service ever started.

    Raises:
        ProcessError: the port is taken.
        ConfigurationError: it would listen where others are, and nobody could prove who asks.
    """
    configure_logging(settings)
    check_reachable(settings)
    held = _hold(cache_folder(settings))
    listener = listen(settings.service_host, settings.service_port)
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        # Its lines would hold whole URLs. The record of who asked what is our own.
        access_log=False,
        # It would take a client's word for where it is.
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.service_tls_certificate,
        ssl_keyfile=settings.service_tls_key,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again once it has shut down; a stop asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    gc.collect()
    gc.freeze()  # or each full collection would look at all modules again: a pause of 60 ms
    with held:
        server.run(sockets=[listener])
    return server.started


def check_reachable(settings: Settings) -> None:
    """Refuse a service that others can reach while nobody could prove who asks.

    Raises:
        ConfigurationError: there is no key, no issuer, or an issuer without audiences.
    """
    if settings.oidc_issuers and not settings.oidc_audiences:
        raise ConfigurationError(
            "LAVRA_OIDC_ISSUERS is set without LAVRA_OIDC_AUDIENCES.",
            remedy="Name the audiences: else a token made for any other service would do.",
        )
    if settings.service_tls_key and not settings.service_tls_certificate:
        raise ConfigurationError("LAVRA_SERVICE_TLS_KEY is set without its certificate.")
    if settings.service_host in {"127.0.0.1", "::1", "localhost"} or settings.oidc_issuers:
        return
    with open_catalog(settings).connect() as connection:
        now = datetime.now(UTC)
        if any(key.state(now) == "active" for key in list_keys(connection)):
            return
    raise ConfigurationError(
        f"The service would listen on {settings.service_host}, where others reach it, and there "
        "is neither an API key nor a token issuer.",
        remedy="`lavra keys create NAME` makes a key; or set LAVRA_OIDC_ISSUERS.",
    )


def _hold(folder: Path) -> IO[str]:
    """Claim a cache folder for this process; the claim ends with the process.

    Raises:
        ProcessError: another service uses it: each would delete the other's files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ProcessError(
            f"Another query service of this project is running (it uses {folder}).",
            remedy="Stop it (`lavra down`, or Ctrl-C where it runs).",
        ) from error
    return lock
