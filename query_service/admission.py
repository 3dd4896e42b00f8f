"""Who may run now: so many queries at once, so many waiting, and every caller its turn."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lavra.errors import TooManyQueries

Waiter = asyncio.Future[None]


class Admission:
    """Admits queries; callers that wait take turns, whatever number each one sent.

    When the waiting room is full, the caller that has most queries in it loses its newest one to
    a caller that has fewer; a caller that already has the most is refused.

    Args:
        most_running: Queries at once.
        most_waiting: Queries that wait for a turn.
    """

    def __init__(self, most_running: int, most_waiting: int) -> None:
        self._most_running = most_running
        self._most_waiting = most_waiting
        self._queues: OrderedDict[str, deque[Waiter]] = OrderedDict()
        self.running = 0

    @property
    def waiting(self) -> int:
        """Queries that wait for a turn."""
        return sum(map(len, self._queues.values()))

    @asynccontextmanager
    async def turn(
        self, caller: str, on_wait: Callable[[Waiter | None], None]
    ) -> AsyncIterator[None]:
        """Hold one of the places for a block.

        Args:
            caller: Whose query it is.
            on_wait: Told the future that is waited for, and None once the wait is over; failing
                that future ends the wait.

        Raises:
            TooManyQueries: the waiting room is full.
        """
        if self.running < self._most_running and not self._queues:
            self.running += 1
        else:
            await self._wait(caller, on_wait)
        try:
            yield
        finally:
            self.running -= 1
            self._admit()

    async def _wait(self, caller: str, on_wait: Callable[[Waiter | None], None]) -> None:
        if self.waiting >= self._most_waiting:
            self._make_room(caller)
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._queues.setdefault(caller, deque()).append(waiter)
        on_wait(waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.running -= 1  # the turn came in the moment that the wait was given up
                self._admit()
            self._forget(caller, waiter)
            raise
        finally:
            on_wait(None)

    def _make_room(self, caller: str) -> None:
        greediest = max(self._queues, key=lambda name: len(self._queues[name]), default=caller)
        own = len(self._queues.get(caller, ()))
        refused = TooManyQueries(
            f"{self._most_waiting} queries are waiting already.", remedy="Try again in a moment."
        )
        if len(self._queues.get(greediest, ())) <= own + 1:
            raise refused
        newest = self._queues[greediest].pop()
        if not newest.done():
            newest.set_exception(refused)

    def _admit(self) -> None:
        while self._queues and self.running < self._most_running:
            caller, queue = self._queues.popitem(last=False)
            waiter = queue.popleft() if queue else None
            if queue:
                self._queues[caller] = queue  # behind the other callers
            if waiter and not waiter.done():
                self.running += 1
                waiter.set_result(None)

    def _forget(self, caller: str, waiter: Waiter) -> None:
        queue = self._queues.get(caller)
        if queue and waiter in queue:
            queue.remove(waiter)
        if queue is not None and not queue:
            del self._queues[caller]
