"""Quotas: how much each caller may ask, by the policy. Who exceeds one is refused, nobody else."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lavra.access.policy import Quota
from lavra.errors import TooManyQueries

MINUTE_S = 60.0
HOUR_S = 3600.0
CALLERS = 10_000
"""Idle callers that are remembered."""


@dataclass
class _Use:
    running: int = 0
    began: deque[float] = field(default_factory=deque)
    sent: deque[tuple[float, int]] = field(default_factory=deque)
    sent_bytes: int = 0


class Quotas:
    """Counts what each caller asks. One process counts for itself; a restart forgets.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    @contextmanager
    def query(self, caller: str, quota: Quota | None) -> Iterator[Callable[[int], None]]:
        """Count a query for a block, which is given a function to say the answer's bytes with.

        Raises:
            TooManyQueries: the caller has used a quota up.
        """
        if quota is None:
            yield lambda _: None
            return
        use = self._use(caller)
        now = self._clock()
        _forget(use, now)
        _check(use, quota)
        use.began.append(now)
        use.running += 1

        def sent(count: int) -> None:
            use.sent.append((self._clock(), count))
            use.sent_bytes += count

        try:
            yield sent
        finally:
            use.running -= 1

    def _use(self, caller: str) -> _Use:
        use = self._uses.get(caller)
        if use is None:
            idle = (name for name, held in self._uses.items() if not held.running)
            oldest = next(idle, None) if len(self._uses) >= CALLERS else None
            if oldest is not None:
                del self._uses[oldest]
            use = self._uses[caller] = _Use()
        self._uses.move_to_end(caller)
        return use


def _forget(use: _Use, now: float) -> None:
    while use.began and use.began[0] <= now - MINUTE_S:
        use.began.popleft()
    while use.sent and use.sent[0][0] <= now - HOUR_S:
        use.sent_bytes -= use.sent.popleft()[1]


def _check(use: _Use, quota: Quota) -> None:
    if quota.concurrency is not None and use.running >= quota.concurrency:
        raise TooManyQueries(
            f"Your quota is {quota.concurrency} queries at the same time.",
            remedy="Wait until one of them ends.",
        )
    if quota.queries_per_minute is not None and len(use.began) >= quota.queries_per_minute:
        raise TooManyQueries(
            f"Your quota is {quota.queries_per_minute} queries a minute.",
            remedy="Try again in a minute.",
        )
    if quota.bytes_per_hour is not None and use.sent_bytes >= quota.bytes_per_hour:
        raise TooManyQueries(
            f"Your quota is {quota.bytes_per_hour} bytes of answers an hour.",
            remedy="Try again later, and ask for less.",
        )
