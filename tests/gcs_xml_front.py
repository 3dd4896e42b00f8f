"""The XML API of Cloud Storage in front of the emulator, which speaks only the JSON API.

DataFusion's own client reads objects by HEAD and ranged GET of ``/<bucket>/<object>``; a real
bucket answers both APIs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import httpx


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    emulator: str
    reads: list[tuple[str, str]]

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *args: object) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        _, bucket, key = unquote(urlsplit(self.path).path).split("/", 2)
        url = f"{self.emulator}/download/storage/v1/b/{bucket}/o/{quote(key, safe='')}"
        found = httpx.get(url, params={"alt": "media"}, trust_env=False)
        if found.status_code != 200:
            self._send(404, b"")
            return
        content, status, headers = found.content, 200, {}
        wanted = self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(len(content) - int(last), 0)
            end = min(int(last), len(content) - 1) if first and last else len(content) - 1
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            content, status = content[start : end + 1], 206
        self.reads.append((key, wanted or ""))
        self._send(status, content, headers, with_body=with_body)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str] | None = None,
        *, with_body: bool = True,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", formatdate(0, usegmt=True))
        self.send_header("ETag", '"1"')
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)


@contextmanager
def xml_front(emulator: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Serve the emulator's objects; gives the address, and the objects and ranges read so far."""
    reads: list[tuple[str, str]] = []
    handler = type("Front", (_Front,), {"emulator": emulator, "reads": reads})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", reads
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
