"""One query on its way: reading an engine's events under a deadline, and what surrounds them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from lavra.errors import LavraError, QueryTimeout
from query_service.descriptions import iso
from query_service.engine.jobs import Chunk, Event, Failed, Finished, Started
from query_service.problems import error_of

if TYPE_CHECKING:
    import datetime as dt

    from query_service.release_store import LoadedRelease


def out_of_time() -> QueryTimeout:
    """Return the error of a query that ran or waited too long."""
    return QueryTimeout(
        "The query ran past its time limit.",
        remedy="Ask for less, or for more time with timeout_s.",
    )


class Run:
    """Reads an engine's events; ``deadline`` is in the event loop's time."""

    def __init__(self, events: AsyncGenerator[Event, None], deadline: float) -> None:
        self._events = events
        self._deadline = deadline
        self.held: list[bytes] = []
        self.tables: tuple[str, ...] = ()
        self.finished: Finished | None = None

    async def read(self, most_bytes: int) -> None:
        """Read until the end or until more than ``most_bytes`` are held.

        Raises:
            LavraError: the query failed or its time is up.
        """
        size = 0
        try:
            async with asyncio.timeout_at(self._deadline):
                async for event in self._events:
                    match event:
                        case Started(tables):
                            self.tables = tables
                        case Chunk(data):
                            self.held.append(data)
                            size += len(data)
                            if size > most_bytes:
                                return
                        case Finished():
                            self.finished = event
                            return
                        case Failed(code, message, remedy):
                            raise error_of(code, message, remedy)
        except TimeoutError as error:
            raise out_of_time() from error
        raise LavraError("The engine stopped without an answer.")

    def take(self) -> bytes:
        """Return what is held and hold nothing."""
        taken = b"".join(self.held)
        self.held = []
        return taken


class Envelope:
    """What surrounds an encoder's bytes; only JSON has any."""

    def __init__(
        self,
        encoding: str,
        query_id: str,
        loaded: LoadedRelease,
        through: dt.datetime | None,
        began: float,
        *,
        cached: bool = False,
    ) -> None:
        self._json = encoding == "json"
        self._query_id = query_id
        self._snapshot = {
            "id": loaded.id,
            "released_at": iso(loaded.release.created_at),
            "data_through": iso(through),
        }
        self._began = began
        self._cached = cached

    def opening(self) -> bytes:
        """Return what comes before the encoder's bytes."""
        return f'{{"query_id":"{self._query_id}",'.encode() if self._json else b""

    def closing(self) -> bytes:
        """Return what comes after them."""
        if not self._json:
            return b""
        tail = {
            "snapshot": self._snapshot,
            "elapsed_ms": round((time.monotonic() - self._began) * 1000, 3),
            "cached": self._cached,
        }
        return b"," + json.dumps(tail, separators=(",", ":"))[1:].encode()
