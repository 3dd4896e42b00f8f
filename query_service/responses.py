"""Answers as ASGI responses: compressed when asked, ended when the client goes away."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from query_service.service import Answer


COMPRESSED = {"json", "ndjson", "csv"}
"""Formats that are text; Parquet is compressed inside, Arrow is left as quick as it is."""

LEAST_BYTES = 1400
LEVEL = 1


class AnswerResponse(Response):
    """Sends an answer.

    A query that fails after its status was sent drops the connection: the missing end (of the
    chunked body, of the Arrow stream) is how a client knows that the answer is not whole.
    """

    def __init__(self, answer: Answer, accept_encoding: str) -> None:
        self._answer = answer
        self._gzip = answer.encoding in COMPRESSED and "gzip" in accept_encoding
        body = answer.body
        headers = {**answer.headers, "Vary": "Accept, Accept-Encoding"}
        if body is not None and len(body) < LEAST_BYTES:
            self._gzip = False
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
        if body is not None and self._gzip:
            packer = _packer()
            body = packer.compress(body) + packer.flush()
        super().__init__(body or b"", media_type=answer.media_type, headers=headers)
        if answer.stream is not None:
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; a stream ends with its query or with its client."""
        if self._answer.stream is None:
            await super().__call__(scope, receive, send)
            return
        sending = asyncio.ensure_future(self._send_stream(send))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.wait({sending, gone})
            await self._answer.stream.aclose()

    async def _send_stream(self, send: Send) -> None:
        assert self._answer.stream is not None  # noqa: S101 - the caller looked
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        packer = _packer() if self._gzip else None
        async for data in self._answer.stream:
            part = packer.compress(data) if packer else data
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        rest = packer.flush() if packer else b""
        await send({"type": "http.response.body", "body": rest, "more_body": False})


async def disconnected(receive: Receive) -> None:
    """Return once the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _packer() -> zlib._Compress:
    return zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
