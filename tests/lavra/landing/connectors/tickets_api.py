"""An HTTP API with pages, rate limits and faults, as the wild ones have them."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 100
KEY = "tickets-key-4711"
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FORM = "%Y-%m-%dT%H:%M:%SZ"


@dataclass
class TicketsApi:
    """So many tickets, evenly over ``days``; every 7th request is refused, every 11th breaks."""

    count: int
    days: int = 10
    url: str = ""
    requests: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    statuses: list[int] = field(default_factory=list)

    def until(self) -> str:
        return f"{BEGIN + dt.timedelta(days=self.days):{FORM}}"

    def tickets(self) -> list[dict[str, Any]]:
        step = self.days * 86400 / self.count
        return [
            {
                "id": number, "subject": f"ticket {number}", "amount": number / 8,
                "labels": ["a", number],
                "updated_at": f"{BEGIN + dt.timedelta(seconds=int(number * step)):{FORM}}",
            }
            for number in range(self.count)
        ]  # fmt: skip

    def answer(self, query: dict[str, list[str]], key: str | None) -> tuple[int, dict[str, Any]]:
        number = next(self.requests)
        if key != f"Bearer {KEY}":
            return 401, {}
        if number % 7 == 0:
            return 429, {}
        if number % 11 == 0:
            return 500, {}
        since, until, page = query["since"][0], query["until"][0], int(query["page"][0])
        found = [one for one in self.tickets() if since <= one["updated_at"] <= until]
        return 200, {"items": found[page * PAGE : (page + 1) * PAGE]}


@contextmanager
def serve(api: TicketsApi) -> Iterator[TicketsApi]:
    """Serve it on a port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            status, body = api.answer(query, self.headers.get("Authorization"))
            api.statuses.append(status)
            content = json.dumps(body).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0.05")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield api
        finally:
            server.shutdown()
