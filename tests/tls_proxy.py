"""Puts TLS in front of a Postgres server whose build has none, as Postgres itself negotiates it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
GSS_REQUEST = (8).to_bytes(4, "big") + (80877104).to_bytes(4, "big")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.contextmanager
def tls_proxy(context: ssl.SSLContext, port: int, server: int | Path) -> Iterator[None]:
    """Listen on ``port`` of loopback, speak TLS, pass on to ``server``; refuse plaintext.

    The server is a port of loopback, or the path of its socket.
    """

    writers: list[asyncio.StreamWriter] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            request = await reader.readexactly(8)
            if request == GSS_REQUEST:
                writer.write(b"N")
                request = await reader.readexactly(8)
            if request != SSL_REQUEST:
                writer.close()
                return
            writer.write(b"S")
            await writer.drain()
            await writer.start_tls(context)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return
        if isinstance(server, Path):
            to_server = await asyncio.open_unix_connection(server)
        else:
            to_server = await asyncio.open_connection("127.0.0.1", server)
        writers.append(to_server[1])
        await asyncio.gather(_copy(reader, to_server[1]), _copy(to_server[0], writer))

    loop = asyncio.new_event_loop()
    listener = loop.run_until_complete(asyncio.start_server(serve_one, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def stop() -> None:
        listener.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes what was aborted in its next round
        await asyncio.sleep(0)

    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
