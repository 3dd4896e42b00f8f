"""Many clients at once, from a few processes: each asks, waits for its answer, and asks again."""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat

PROCESSES = 2
"""One selector loop sends about 20,000 requests a second, so two are never the limit here."""


@dataclass(frozen=True)
class Load:
    """What the clients saw: answers per second, and every answer's milliseconds, sorted."""

    rate: float
    latencies_ms: list[float]

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which this share (0 to 1) of the answers came."""
        return self.latencies_ms[
            min(int(len(self.latencies_ms) * share), len(self.latencies_ms) - 1)
        ]


def run_load(port: int, requests: list[bytes], clients: int, seconds: float) -> Load:
    """Keep ``clients`` connections to a local server busy; each takes the requests in turn.

    Raises:
        RuntimeError: an answer was not 200.
    """
    context = multiprocessing.get_context("spawn")
    shares = [clients // PROCESSES + (i < clients % PROCESSES) for i in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        found = list(
            pool.map(
                _run, repeat(port), repeat(requests), shares, repeat(seconds), range(PROCESSES)
            )
        )
    latencies = sorted(1000 * latency for part in found for latency in part)
    return Load(len(latencies) / seconds, latencies)


class _Connection:
    """One client; it speaks as little HTTP as the answers need."""

    def __init__(self, port: int, requests: list[bytes], first: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._next = first
        self._data = b""
        self._end = 0

    def ask(self) -> None:
        self.socket.sendall(self._requests[self._next % len(self._requests)])
        self._next += 1
        self._began = time.perf_counter()
        self._data, self._end = b"", 0

    def take(self) -> float | None:
        """Read what is there; return the answer's seconds once it is whole."""
        data = self.socket.recv(1 << 20)
        self._data = self._data + data if self._data else data
        if not self._end:
            head_end = self._data.find(b"\r\n\r\n")
            if head_end >= 0:
                head = self._data[:head_end].lower()
                at = head.find(b"\r\ncontent-length:")
                if not head.startswith(b"http/1.1 200") or at < 0:
                    raise RuntimeError(self._data[:300].decode(errors="replace"))
                self._end = head_end + 4 + int(head[at + 17 :].split(b"\r\n", 1)[0])
        if not data:
            raise RuntimeError("the server closed a connection")
        whole = self._end and len(self._data) >= self._end
        return time.perf_counter() - self._began if whole else None


def _run(
    port: int, requests: list[bytes], clients: int, seconds: float, number: int
) -> list[float]:
    connections = [_Connection(port, requests, number + 7 * i) for i in range(clients)]
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask()
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(1):
            connection = key.data
            latency = connection.take()
            if latency is not None:
                latencies.append(latency)
                connection.ask()
    for connection in connections:
        connection.socket.close()
    return latencies
