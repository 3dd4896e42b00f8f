"""Answers as ASGI responses: compressed when asked, ended when the client goes away."""

from __future__ import annotations

import asyncio
import logging
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

from lavra.errors import QueryCancelled

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import Receive, Scope, Send

    from query_service.answers import Answer

logger = logging.getLogger("query_service")

COMPRESSED = {"json", "ndjson", "csv"}
"""Formats that are text; Parquet is compressed inside, Arrow is left as quick as it is."""

LEAST_BYTES = 1400
LEVEL = 1

WATCH_AFTER_S = 0.02
"""Whether the client is still there is asked only of what takes longer."""


class AnswerResponse:
    """Sends an answer.

    A query that fails after its status was sent drops the connection: the missing end (of the
    chunked body, of the Arrow stream) is how a client knows that the answer is not whole.
    """

    def __init__(self, answer: Answer, accept_encoding: str) -> None:
        self._answer = answer
        short = answer.body is not None and len(answer.body) < LEAST_BYTES
        self._gzip = answer.encoding in COMPRESSED and not short and takes_gzip(accept_encoding)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the answer; a stream ends with its query or with its client."""
        if self._answer.stream is None:
            body = self._answer.body or b""
            if self._gzip:
                packer = _packer()
                body = packer.compress(body) + packer.flush()
            await send(self._start(len(body)))
            await send({"type": "http.response.body", "body": body})
            return
        watch = ClientWatch(receive)
        try:
            async with watch:
                await self._send_stream(send)
        except Exception as error:  # noqa: BLE001 - whatever it is, the status has gone out
            # Returning without an end makes the server drop the connection.
            if not watch.gone:
                logger.warning(
                    "query %s failed after its answer began, the connection is dropped: %s",
                    self._answer.query_id, error, extra={"query_id": self._answer.query_id},
                )  # fmt: skip
        finally:
            await self._answer.stream.aclose()

    async def _send_stream(self, send: Send) -> None:
        assert self._answer.stream is not None  # noqa: S101 - the caller looked
        await send(self._start(None))
        packer = _packer() if self._gzip else None
        async for data in self._answer.stream:
            part = packer.compress(data) if packer else data
            if part:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        rest = packer.flush() if packer else b""
        await send({"type": "http.response.body", "body": rest, "more_body": False})

    def _start(self, length: int | None) -> dict[str, object]:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self._answer.headers.items()
        ]
        headers.append((b"content-type", self._answer.media_type.encode()))
        headers.append((b"vary", b"Accept, Accept-Encoding"))
        if self._gzip:
            headers.append((b"content-encoding", b"gzip"))
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        return {"type": "http.response.start", "status": 200, "headers": headers}


@lru_cache(256)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether an ``Accept-Encoding`` header prefers gzip to the bytes as they are (RFC 9110)."""
    qualities: dict[str, float] = {}
    for entry in accept_encoding.lower().split(","):
        name, *options = (part.strip() for part in entry.split(";"))
        quality = next((o.removeprefix("q=") for o in options if o.startswith("q=")), "1")
        try:
            qualities[name] = float(quality)
        except ValueError:
            qualities[name] = 0
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0)))
    return gzip > 0 and gzip >= qualities.get("identity", 0)


class ClientWatch:
    """Ends a block when the client goes away.

    The block sees its task cancelled and leaves with QueryCancelled; ``gone`` is then true.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = False
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        """Begin to watch, after a moment."""
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._begin)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._watching:
            self._watching.cancel()
        if self.gone and self._task:
            others = self._task.uncancel()
            if kind is asyncio.CancelledError and not others:
                raise QueryCancelled("The client went away.") from error

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        if self._task:
            self._task.cancel()


def _packer() -> zlib._Compress:
    return zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
