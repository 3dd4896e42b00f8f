"""What a thread of the worker does when it meets an error that nobody foresaw.

Errors of our own tree say what went wrong, and whoever raises them decides what is tried again.
Anything else is a mistake of ours, or of a library: the thread must not die of it in silence,
leaving a worker that looks as if it worked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from lavra.errors import LavraError

logger = logging.getLogger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0

OnCrash = Callable[[str, LavraError], None]
"""Called with the thread's name and the error, before the work is tried again."""


def keep_working(
    name: str,
    work: Callable[[], None],
    stopping: threading.Event,
    on_crash: OnCrash,
    *,
    once: bool,
) -> None:
    """Do some work; begin it again, later each time, while it breaks off for no known reason.

    Args:
        name: Of the thread, for logs and metrics.
        work: Returns when it has ended as it should.
        stopping: Ends the waiting.
        on_crash: Told of each crash.
        once: Do not try again.

    Raises:
        LavraError: the work raised it, or with ``once``, what broke off in words.
    """
    wait_s = FIRST_RETRY_S
    while True:
        began = time.monotonic()
        try:
            return work()
        except LavraError:
            raise
        except Exception as error:
            if time.monotonic() - began > LAST_RETRY_S:
                wait_s = FIRST_RETRY_S
            crash = LavraError(
                f"Unforeseen {type(error).__name__}: {error}".splitlines()[0],
                remedy="The worker's log has the details.",
            )
            logger.exception("%s: unforeseen; %s", name, "ended" if once else f"{wait_s:.0f} s")
            on_crash(name, crash)
            if once:
                raise crash from error
            if stopping.wait(wait_s):
                return None
            wait_s = min(wait_s * 2, LAST_RETRY_S)
