"""Something that is done again and again while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[], object], every_s: float) -> Iterator[None]:
    """Do ``work`` in a thread, every ``every_s`` seconds, for as long as the block runs."""
    ended = threading.Event()

    def again() -> None:
        while not ended.wait(every_s):
            work()

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
