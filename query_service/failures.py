"""Wrong credentials by client: a few are answered, then the client must wait."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

BURST = 10
"""Wrong credentials that a client may show at once."""

PER_S = 0.2
"""And how many more each second."""

CLIENTS = 10_000
ACCEPTED = 4096
ACCEPTED_S = 600.0


class Failures:
    """Counts failures by client, as a bucket that fills again.

    A client at its limit is refused before what it shows is looked at, so guessing is no faster
    than :data:`PER_S`. Credentials that were accepted lately still pass from there: one guesser
    behind an address that many share does not lock the others out.

    Args:
        now: A monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._accepted: OrderedDict[bytes, float] = OrderedDict()

    def must_wait(self, client: str, fingerprint: bytes) -> bool:
        """Whether a client is at its limit, and shows nothing that was accepted lately."""
        if client not in self._buckets or self._left(client) >= 1:
            return False
        return self._now() - self._accepted.get(fingerprint, -ACCEPTED_S) >= ACCEPTED_S

    def failed(self, client: str) -> bool:
        """Count a failure; return whether it was the one that reached the limit."""
        left = self._left(client) - 1
        self._buckets[client] = (left, self._now())
        self._buckets.move_to_end(client)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return left < 1

    def succeeded(self, fingerprint: bytes) -> None:
        """Remember what was accepted."""
        self._accepted[fingerprint] = self._now()
        self._accepted.move_to_end(fingerprint)
        if len(self._accepted) > ACCEPTED:
            self._accepted.popitem(last=False)

    def _left(self, client: str) -> float:
        left, at = self._buckets.get(client, (float(BURST), self._now()))
        return min(float(BURST), left + (self._now() - at) * PER_S)
