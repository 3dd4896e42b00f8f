"""An engine process: takes jobs from its socket, one at a time, until the front closes it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from query_service.engine.executor import Executor, ExecutorOptions
from query_service.engine.frames import HEADER, decode, encode_event, encode_object
from query_service.engine.jobs import Event, Finished, Job

FLUSH_BYTES = 64 * 1024
FLUSH_S = 0.05


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
            size, kind = HEADER.unpack(header)
            payload = _read(connection, size)
            if payload is None:
                return
            match decode(kind, payload):
                case KeepOnly(release_files):
                    executor.keep_only(set(release_files))
                case Prepare(release_file):
                    executor.prepare(release_file)
                case Job() as job:
                    _run(connection, executor, job)
    except (BrokenPipeError, ConnectionResetError):
        return  # the front went away


def _run(connection: socket.socket, executor: Executor, job: Job) -> None:
    """Send a job's events; small ones wait for each other: a message costs more than bytes."""
    waiting: list[bytes] = []
    size, flushed = 0, time.monotonic()
    for event in executor.run(job):
        pieces = encode_event(event)
        waiting += pieces
        size += sum(len(piece) for piece in pieces)
        if size >= FLUSH_BYTES or _is_last(event) or time.monotonic() - flushed > FLUSH_S:
            _send(connection, waiting)
            waiting, size, flushed = [], 0, time.monotonic()
    _send(connection, waiting)


def _is_last(event: Event) -> bool:
    return isinstance(event, Finished)


def _send(connection: socket.socket, pieces: list[bytes]) -> None:
    if not pieces:
        return
    if sum(map(len, pieces)) < FLUSH_BYTES:
        connection.sendall(b"".join(pieces))
        return
    for piece in pieces:
        connection.sendall(piece)


def _read(connection: socket.socket, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = connection.recv(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
