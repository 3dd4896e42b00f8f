"""A small HTTP server that keeps the service's contract, and breaks it on demand.

The driver's tests need answers that a healthy service never gives: broken streams, proxies'
pages, errors of each code. SQL runs in DataFusion, as in the service.
"""

from __future__ import annotations

import io
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import datafusion
import pyarrow as pa

TABLES = {
    ("gold_commerce", "orders"): pa.table(
        {
            "order_id": pa.array([1, 2, 3], pa.int64()),
            "ordered_at": pa.array([0, 86_400_000_000, None], pa.timestamp("us")),
            "state": pa.array(["SP", "RJ", "São Paulo"], pa.string()),
            "revenue": pa.array(["10.50", "20.00", None], pa.string()).cast(pa.decimal128(18, 2)),
        }
    ),
    ("gold_finance", "rates"): pa.table({"rate": pa.array([1.5, 2.5])}),
}


class ToyService:
    """What the server answers with; tests change its attributes.

    Attributes:
        problems: Errors to answer with first, each (status, body, headers), oldest first.
        cut: Send only this many bytes of each Arrow stream, then drop the connection.
        page: Answer everything with this HTML.
        delay_s: Wait before each answer.
        writable: A session in which CREATE and INSERT work, for suites that must write.
        requests: What was asked: (method, path, headers, decoded body).
    """

    def __init__(self) -> None:
        self.problems: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        self.cut: int | None = None
        self.page: str | None = None
        self.delay_s = 0.0
        self.writable: datafusion.SessionContext | None = None
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.cancelled: list[str] = []
        self.url = ""

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def run(self, sql: str, parameters: Any) -> pa.Table:
        if isinstance(parameters, list):
            parameters = {str(n): value for n, value in enumerate(parameters, 1)}
        if self.writable is not None:
            options = {"param_values": parameters} if parameters else {}
            frame = self.writable.sql(sql, **options)
            if sql.lstrip()[:6].lower() == "select":
                return frame.to_arrow_table()
            frame.collect()
            return pa.table({})
        context = datafusion.SessionContext()
        for (schema, name), table in TABLES.items():
            context.sql(f"create schema if not exists {schema}")
            context.from_arrow(table, f"tmp_{name}")
            context.sql(f"create view {schema}.{name} as select * from tmp_{name}")
        frame = context.sql(sql, param_values=parameters or {})
        return frame.to_arrow_table()


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[ToyService]:
    """Run the server for the block, over TLS if given its certificate."""
    service = ToyService()

    class Handler(_Handler):
        toy = service

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    toy: ToyService
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

    def _answer(self) -> None:
        toy = self.toy
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        toy.requests.append((self.command, self.path, dict(self.headers), body))
        time.sleep(toy.delay_s)
        if toy.page is not None:
            self._send(200, "text/html", toy.page.encode())
        elif toy.problems:
            status, problem, headers = toy.problems.pop(0)
            self._send(status, "application/problem+json", json.dumps(problem).encode(), headers)
        elif self.command == "POST" and self.path == "/v1/sql":
            self._query(body)
        else:
            self._route()

    def _query(self, body: Any) -> None:
        try:
            table = self.toy.run(body["sql"], body.get("parameters"))
        except Exception as error:  # noqa: BLE001 - DataFusion raises plain ones
            problem = {"code": "invalid_sql", "detail": str(error), "status": 400}
            if "not found" in str(error):
                problem |= {"code": "unknown_table", "status": 404}
            self._send(problem["status"], "application/problem+json", json.dumps(problem).encode())
            return
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        self._send(
            200,
            "application/vnd.apache.arrow.stream",
            sink.getvalue(),
            {
                "X-Lavra-Query-Id": self.headers["X-Lavra-Query-Id"],
                "X-Lavra-Snapshot": "7",
                "X-Lavra-Data-Through": "2024-01-31T00:00:00Z",
                "X-Lavra-Cache": "miss",
            },
        )

    def _route(self) -> None:
        path = self.path.split("?")[0]
        parts = path.strip("/").split("/")
        if path == "/readyz":
            self._json({"status": "ready"})
        elif path == "/v1/snapshot":
            self._json({"id": "7", "released_at": "2024-02-01T00:00:00Z"})
        elif path == "/v1/tables":
            self._json({"tables": [_entry(*key) for key in TABLES]})
        elif len(parts) == 4 and parts[:2] == ["v1", "tables"] and tuple(parts[2:]) in TABLES:
            self._json(_entry(*parts[2:], whole=True))
        elif parts[:2] == ["v1", "queries"] and self.command == "DELETE" and parts[2] != "gone":
            self.toy.cancelled.append(parts[2])
            self._json({})
        else:
            problem = {"code": "unknown_table", "detail": f"no {path}", "status": 404}
            self._send(404, "application/problem+json", json.dumps(problem).encode())

    def _json(self, value: Any) -> None:
        self._send(200, "application/json", json.dumps(value).encode())

    def _send(
        self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        cut = self.toy.cut if kind.endswith("stream") else None
        if cut is None:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:  # no length and no chunks: the end of the connection is the end of the body
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body[:cut])
            self.close_connection = True


def _entry(schema: str, name: str, *, whole: bool = False) -> dict[str, Any]:
    table = TABLES[schema, name]
    entry = {"schema": schema, "name": name, "description": f"All {name}.", "row_count": 3}
    if whole:
        entry["columns"] = [
            {"name": f.name, "type": str(f.type), "description": f"The {f.name}."}
            for f in table.schema
        ]
        entry["grain"] = [table.schema.names[0]]
    return entry
