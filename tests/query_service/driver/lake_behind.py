"""What SQLAlchemy's suite writes, kept until it reads: then written to the lake and released.

Most of the suite's tests fill the same tables with the same rows again. What a table is to hold is
therefore compared with what was released, and only a difference makes a release.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from typing import Any

import httpx

from tests.query_service.conftest import Lake

SCHEMA = "gold_test"
_NAME = r'(?:"(?:[^"]|"")*"|\w+)'
_STATEMENT = re.compile(
    rf"\s*(?P<verb>CREATE|DROP|INSERT|DELETE|UPDATE)(?:\s+(?P<kind>TABLE|VIEW|INTO|FROM))?\s+"
    rf"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:{_NAME}\.)?(?P<name>{_NAME})(?P<rest>.*)",
    re.DOTALL,
)
_KEY = b"lake"


class LakeBehind:
    """The lake behind a service, for one process of the suite at a time."""

    def __init__(self, lake: Lake, client: httpx.Client) -> None:
        self.lake = lake
        self.client = client
        self.wanted: dict[str, list[tuple[str, list[list[Any]]]]] = {}
        self.written: dict[str, list[tuple[str, list[list[Any]]]]] = {}
        self.described: dict[tuple[str, str], tuple[str, dict[str, str], list[str]]] = {}
        self.released: Any = None
        lake.duck.execute(f"use lake.{SCHEMA}")
        # The dialect's literals of times are DataFusion's.
        lake.duck.execute("create temp macro arrow_cast(value, kind) as value::time")

    def describe(self, name: str, comment: str, columns: dict[str, str], grain: list[str]) -> None:
        """Note what a model would say of a table."""
        self.described[SCHEMA, name] = comment, columns, grain

    def write(self, sql: str, rows: list[list[Any]]) -> None:
        """Keep a statement, to be run once for each row of parameters."""
        found = _STATEMENT.match(sql)
        if found is None:
            raise ValueError(f"the suite's lake does not know {sql}")
        name = found["name"]
        if found["kind"] == "VIEW":
            return  # what a release holds are tables
        if found["verb"] == "CREATE":
            self.wanted[name] = [(sql, rows)]
        elif found["verb"] == "DROP":
            self.wanted.pop(name, None)
        elif found["verb"] == "DELETE" and not found["rest"].strip():
            del self.wanted[name][1:]
        else:
            self.wanted[name].append((sql, rows))

    def release(self) -> None:
        """Write what is wanted and not there, in one transaction, and release it."""
        state = {name: list(held) for name, held in self.wanted.items()}, dict(self.described)
        if state == self.released:
            return
        duck = self.lake.duck
        duck.execute("begin")
        name = ""
        try:
            for name, held in reversed(self.written.items()):
                if self.wanted.get(name) != held:
                    duck.execute(f"drop table {name}")
            for name, held in self.wanted.items():
                if self.written.get(name) != held:
                    for sql, rows in held:
                        for row in rows:
                            duck.execute(sql, row)
            duck.execute("commit")
        except Exception:
            duck.execute("rollback")
            self.wanted.pop(name, None)  # it is one test's failure, not every later one's
            raise
        self.written = state[0]
        self.lake.release(tables=self._names(), described=self.described)
        self.client.post("/v1/refresh").raise_for_status()
        self.released = state

    def _names(self) -> list[tuple[str, str]]:
        held = [
            name.strip('"').replace('""', '"') if name[0] == '"' else name for name in self.written
        ]
        for name in held:
            self.described.setdefault((SCHEMA, name), ("", {}, []))
        return [(SCHEMA, name) for name in held]

    @contextmanager
    def listening(self, socket: str) -> Iterator[None]:
        """Answer the suite's process, one message at a time."""

        def serve(listener: Listener) -> None:
            while True:
                with listener.accept() as peer:
                    message = peer.recv()
                    if message[0] == "stop":
                        return
                    try:
                        getattr(self, message[0])(*message[1:])
                        peer.send("")
                    except Exception as error:  # noqa: BLE001 - it is raised in the suite
                        peer.send(f"{type(error).__name__}: {error}")

        with Listener(socket, "AF_UNIX", authkey=_KEY) as listener:
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            try:
                yield
            finally:
                with Client(socket, "AF_UNIX", authkey=_KEY) as client:
                    client.send(("stop",))
                thread.join(timeout=30)
