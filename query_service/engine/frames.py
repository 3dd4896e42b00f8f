"""Frames on the socket between the front and an engine process.

A frame is its payload's length (4 bytes), its kind (1 byte) and the payload. Answers' bytes
travel as they are; everything else is pickled: both ends are the same program.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

from query_service.engine.jobs import Chunk, Event

HEADER = struct.Struct("<IB")
OBJECT, BYTES = 0, 1


def encode_object(value: Any) -> bytes:
    """Return the frame of any picklable value."""
    payload = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(payload), OBJECT) + payload


def encode_event(event: Event) -> list[bytes]:
    """Return the frame of an event, in pieces, so that large ones are not copied."""
    if isinstance(event, Chunk):
        return [HEADER.pack(len(event.data), BYTES), event.data]
    return [encode_object(event)]


def decode(kind: int, payload: bytes) -> Any:
    """Return what a frame holds; a Chunk for bytes."""
    return Chunk(payload) if kind == BYTES else pickle.loads(payload)  # noqa: S301 - our own
