"""What stands between a stream and a part of the lake, and can be shut."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from lavra.catalog.local_postgres import LocalPostgres
from tests.conftest import free_port

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Store:
    """The object store behind a front that answers 503, if told to, as a store in trouble does.

    Attributes:
        url: Of the front.
        failing: Whether it answers 503; every other request is carried out all the same, so that
            an answer may be lost of what was done.
        refused: Requests that were answered so.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.failing = threading.Event()
        self.refused = 0


@contextmanager
def store_front(emulator: str) -> Iterator[Store]:
    """Put the front before the emulator."""
    host = urlsplit(emulator).netloc

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_GET  # noqa: N815 - http.server's

        def log_message(self, *args: object) -> None:
            pass

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            failing = store.failing.is_set()
            store.refused += failing
            if failing and store.refused % 2:
                self._answer(503, [], b"")
                return
            connection = http.client.HTTPConnection(host, timeout=60)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, body, dict(self.headers))
                with connection.getresponse() as answer:
                    content = answer.read()
            if failing:
                self._answer(503, [], b"")
            else:
                self._answer(answer.status, answer.getheaders(), content)

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    store = Store(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Gate:
    """A port of loopback through which a Unix socket is reached, unless it is shut."""

    def __init__(self, socket: str) -> None:
        self.port = free_port()
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.open()

    def open(self) -> None:
        """Let everybody through (again)."""
        self._do(self._open())

    def shut(self) -> None:
        """Break all connections off, and refuse new ones."""
        self._do(self._shut())

    def stall(self) -> None:
        """Keep connections, accept new ones, and pass nothing on."""
        self._do(self._stall())

    def close(self) -> None:
        """End it."""
        self._do(self._shut())
        self._do(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve_one, "127.0.0.1", self.port)

    async def _stall(self) -> None:
        self._flows.clear()

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)  # the loop closes in its next rounds what was aborted

    async def _end_tasks(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._shut()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there = await asyncio.open_unix_connection(self._socket)
        except OSError:
            writer.close()
            return
        self._writers.add(there[1])
        await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))
        self._writers -= {writer, there[1]}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def gate(server: LocalPostgres) -> Iterator[Gate]:
    """Open a gate to a server, for the block."""
    opened = Gate(str(server.socket_folder / ".s.PGSQL.5432"))
    try:
        yield opened
    finally:
        opened.close()
