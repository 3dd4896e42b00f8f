"""Frames on the socket between the front and an engine process.

A frame is its payload's length (4 bytes), its kind (1 byte) and the payload. Answers' bytes
travel as they are; everything else is pickled: both ends are the same program.
"""

from __future__ import annotations

import pickle
import socket
import struct
import time
from typing import Any

from query_service.engine.jobs import ENDS, Chunk, Event, Finished, Started, Whole
from query_service.formats.encoders import Piece

HEADER = struct.Struct("<IB")
OBJECT, BYTES = 0, 1

WHOLE_BYTES = 16 * 1024
"""An answer up to this size is sent as one object."""

FLUSH_BYTES = 256 * 1024
FLUSH_PIECES = 512
"""The system takes at most 1024 pieces at once."""
FLUSH_S = 0.05


def encode_object(value: Any) -> bytes:
    """Return the frame of any picklable value."""
    payload = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(payload), OBJECT) + payload


def decode_object(payload: bytes) -> Any:
    """Return what the frame of an object holds."""
    return pickle.loads(payload)  # noqa: S301 - our own


class Outbox:
    """Sends a query's events; small ones wait for each other: a message costs more than bytes.

    Pieces of an answer are not copied: the system gathers them from where they are.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._ready: list[Piece] = []
        self._frame: list[Piece] = []  # the answer's bytes that have no header yet
        self._ready_bytes = 0
        self._frame_bytes = 0
        self._flushed = time.monotonic()
        self._started: Started | None = None  # waits for the answer to be whole

    def put(self, event: Event) -> None:
        """Send an event now or soon; the last one sends all that waits."""
        if isinstance(event, Chunk):
            self._frame.append(event.data)
            self._frame_bytes += len(event.data)
        elif isinstance(event, Started):
            self._started = event
        elif isinstance(event, Finished) and self._started and self._frame_bytes <= WHOLE_BYTES:
            data = b"".join(self._frame)
            self._frame, self._frame_bytes = [], 0
            self._ready.append(encode_object(Whole(self._started, data, event)))
            self._started = None
        else:
            self._close_frame()
            self._ready.append(encode_object(event))
        size = self._ready_bytes + self._frame_bytes
        if (
            isinstance(event, ENDS)
            or size >= FLUSH_BYTES
            or len(self._ready) + len(self._frame) >= FLUSH_PIECES
            or time.monotonic() - self._flushed > FLUSH_S
        ):
            self._flush()

    def _close_frame(self) -> None:
        if self._started:
            self._ready.append(encode_object(self._started))
            self._started = None
        if self._frame_bytes:
            self._ready.append(HEADER.pack(self._frame_bytes, BYTES))
            self._ready += [piece for piece in self._frame if len(piece)]
            self._ready_bytes += self._frame_bytes
        self._frame, self._frame_bytes = [], 0

    def _flush(self) -> None:
        self._close_frame()
        pieces, self._ready, self._ready_bytes = self._ready, [], 0
        send_all(self._connection, pieces)
        self._flushed = time.monotonic()


def send_all(connection: socket.socket, pieces: list[Piece]) -> None:
    """Send pieces one after the other, however many the socket takes at a time."""
    rest = [memoryview(piece).cast("B") for piece in pieces]
    while rest:
        sent = connection.sendmsg(rest)
        while rest and sent >= len(rest[0]):
            sent -= len(rest.pop(0))
        if sent:
            rest[0] = rest[0][sent:]
