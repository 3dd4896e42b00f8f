"""Servers to measure: started, waited for, ended."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import free_port
from tests.query_service.conftest import wait_until

ROAPI = "roapi==0.12.7"


@contextmanager
def running_server(
    command: list[str], folder: Path, ready_url: str, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server for a block; it is up when ``ready_url`` answers 200.

    A service of ours takes questions from this machine without a key; ``environment`` adds to
    this process's own.
    """
    variables = {**os.environ, "LAVRA_SERVICE_ALLOW_LOOPBACK": "true", **(environment or {})}
    server = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(_answers(ready_url), timeout_s=120)
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)


def roapi_command(port: int, tables: list[str]) -> list[str]:
    """Return the command that serves ``name=file`` tables by ROAPI, from PyPI if need be."""
    program = shutil.which("roapi")
    command = [program] if program else ["uv", "tool", "run", ROAPI]
    command += ["-a", f"127.0.0.1:{port}", "-p", f"127.0.0.1:{free_port()}"]
    command += ["--addr-flight-sql", f"127.0.0.1:{free_port()}"]
    return command + [part for table in tables for part in ("-t", table)]


def post(path: str, body: str, port: int) -> bytes:
    """Return the bytes of a request that asks for JSON."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
    ).encode()


def _answers(url: str) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    return answers
