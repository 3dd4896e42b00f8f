"""The front's end of one engine's socket: frames become events, whatever pieces they come in."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

from query_service.engine.frames import BYTES, HEADER, decode_object, encode_object
from query_service.engine.jobs import Chunk

HIGH_BYTES = 4 * 1024 * 1024
"""An engine that is this far ahead of its client is not read any more."""

LOW_BYTES = 1024 * 1024


class EngineConnection(asyncio.Protocol):
    """Sends objects to an engine and holds what it sends until it is asked for.

    An answer's bytes are handed on as they come, without waiting for their frame to be whole, and
    those that wait together are handed on together: every step costs more than the bytes.
    """

    def __init__(self) -> None:
        self._events: deque[Any] = deque()
        self._partial = b""
        self._left = 0  # bytes that the current frame of an answer still has to bring
        self._held = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by the event loop)."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Note that the engine is gone (called by the event loop)."""
        self.ended = True
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Take bytes (called by the event loop)."""
        if self._partial:
            data = self._partial + data
            self._partial = b""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                stop = min(end, at + self._left)
                self._events.append(data[at:stop])
                self._left -= stop - at
                self._held += stop - at
                at = stop
                continue
            if end - at < HEADER.size:
                break
            size, kind = HEADER.unpack_from(data, at)
            begin = at + HEADER.size
            if kind == BYTES:
                self._left = size
                at = begin
            elif begin + size <= end:
                at = begin + size
                self._events.append(decode_object(data[begin:at]))
            else:
                break
        self._partial = data[at:]
        if self._held > HIGH_BYTES and not self._paused and self._transport:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def send(self, value: object) -> None:
        """Send any picklable object; to an engine that has ended nothing is sent."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(encode_object(value))

    def close(self) -> None:
        """Close the socket, upon which the engine ends."""
        if self._transport:
            self._transport.close()

    async def next(self) -> Any:
        """Return the next event, or None once the engine has closed its end.

        There is one caller at a time.
        """
        while not self._events:
            if self.ended:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._events.popleft()
        return self._joined(event) if isinstance(event, bytes) else event

    def _joined(self, first: bytes) -> Chunk:
        parts = [first]
        while self._events and isinstance(self._events[0], bytes):
            parts.append(self._events.popleft())
        data = b"".join(parts)
        self._held -= len(data)
        if self._paused and self._held < LOW_BYTES and self._transport and not self.ended:
            self._paused = False
            self._transport.resume_reading()
        return Chunk(data)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
