"""An engine process: takes jobs from its socket, one at a time, until the front closes it."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

from query_service.engine.executor import Executor, ExecutorOptions
from query_service.engine.frames import HEADER, Outbox, decode_object, encode_object
from query_service.engine.jobs import Job


@dataclass(frozen=True)
class KeepOnly:
    """Tells an engine to unmap every release but these."""

    release_files: frozenset[str]


@dataclass(frozen=True)
class Prepare:
    """Tells an engine to open a release."""

    release_file: str


@dataclass(frozen=True)
class Ready:
    """Says that an engine takes jobs."""


def serve(connection: socket.socket, options: ExecutorOptions) -> None:
    """Run jobs until the other end of ``connection`` closes."""
    executor = Executor(options)
    executor.warm_up()
    try:
        connection.sendall(encode_object(Ready()))
        while True:
            header = _read(connection, HEADER.size)
            if header is None:
                return
            size, _ = HEADER.unpack(header)
            payload = _read(connection, size)
            if payload is None:
                return
            match decode_object(payload):
                case KeepOnly(release_files):
                    executor.keep_only(set(release_files))
                case Prepare(release_file):
                    # Releases come and go: this one may be gone by now. A query would say so.
                    with contextlib.suppress(Exception):
                        executor.prepare(release_file)
                case Job() as job:
                    _run(connection, executor, job)
    except (BrokenPipeError, ConnectionResetError):
        return  # the front went away


def _run(connection: socket.socket, executor: Executor, job: Job) -> None:
    outbox = Outbox(connection)
    for event in executor.run(job):
        outbox.put(event)


def _read(connection: socket.socket, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
