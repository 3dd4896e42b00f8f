"""One query on its way: reading an engine's events under a deadline, and what surrounds them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from lavra.errors import LavraError, QueryTimeout
from query_service.descriptions import iso
from query_service.engine.jobs import Chunk, Event, Failed, Finished, Started, Whole
from query_service.problems import error_of

if TYPE_CHECKING:
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
        self.columns: tuple[str, ...] = ()
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
                        case Whole(started, data, finished):
                            self.tables, self.columns = started.tables, started.columns
                            self.held.append(data)
                            self.finished = finished
                            return
                        case Started(tables, columns):
                            self.tables, self.columns = tables, columns
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


class Stamp:
    """What answers over the same tables of one release all say of it.

    Attributes:
        through: ``data_through`` of the tables, as the header shows it.
        json: ``"snapshot"`` and what follows up to the value of ``"elapsed_ms"``.
    """

    def __init__(self, loaded: LoadedRelease, tables: tuple[str, ...]) -> None:
        through = iso(loaded.data_through(tables))
        snapshot = {
            "id": loaded.id,
            "released_at": iso(loaded.release.created_at),
            "data_through": through,
        }
        self.through = through or ""
        self.json = (
            b',"snapshot":%b,"elapsed_ms":' % json.dumps(snapshot, separators=(",", ":")).encode()
        )


class Envelope:
    """What surrounds an encoder's bytes; only JSON has any."""

    def __init__(
        self, encoding: str, query_id: str, stamp: Stamp, began: float, *, cached: bool = False
    ) -> None:
        self._json = encoding == "json"
        self._query_id = query_id
        self._stamp = stamp
        self._began = began
        self._cached = cached

    def opening(self) -> bytes:
        """Return what comes before the encoder's bytes."""
        return b'{"query_id":"%b",' % self._query_id.encode() if self._json else b""

    def closing(self) -> bytes:
        """Return what comes after them."""
        if not self._json:
            return b""
        cached = b"true" if self._cached else b"false"
        elapsed_ms = (time.monotonic() - self._began) * 1000
        return b'%b%.3f,"cached":%b}' % (self._stamp.json, elapsed_ms, cached)
