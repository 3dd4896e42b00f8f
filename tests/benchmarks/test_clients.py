"""The load generator counts whole answers."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.clients.lean import LeanClient
from benchmarks.clients.load import run_load


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if body == b"good" else 404)
        self.send_header("Content-Length", "70000")
        self.end_headers()
        self.wfile.write(b"x" * 70000)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_answers_are_read_whole_and_their_status_is_checked(server: ThreadingHTTPServer) -> None:
    with server, LeanClient("127.0.0.1", server.server_port) as client:
        good, bad = (client.request("/", body) for body in (b"good", b"bad"))
        assert client.exchange(good) == b"x" * 70000
        load = run_load(server.server_port, [good], clients=3, seconds=0.5)
        assert load.rate == len(load.latencies_ms) / 0.5 > 0
        assert 0 < load.percentile(0.5) <= load.percentile(1)
        with pytest.raises(RuntimeError, match="404"):
            run_load(server.server_port, [bad], clients=1, seconds=0.5)
        server.shutdown()
