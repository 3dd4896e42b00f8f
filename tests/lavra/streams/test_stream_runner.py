"""How long a stream waits before it tries again."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from lavra.errors import SourceError
from lavra.streams import runner as runner_module
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.landing import Committed
from lavra.streams.runner import FIRST_RETRY_S, LAST_RETRY_S, StreamRunner
from lavra.streams.source import Batch

DECLARATION = StreamDeclaration.model_validate(
    {"name": "s", "description": "-", "owner": "-", "tables": ["public.t"],
     "source": {"connector": "postgres", "workload": "aviation"}}
)  # fmt: skip


class Landing:
    """Lands everything, nowhere."""

    committed = Committed()

    def __init__(self, *_: object) -> None:
        pass

    def land(self, batch: Batch) -> None:
        pass

    def maintain(self) -> None:
        pass

    def close(self) -> None:
        pass


class Source:
    """Breaks off each time; before that, it has as many batches as its turn says."""

    def __init__(self, batches: int) -> None:
        self._batches = batches

    def open(self, position: Any, sequence: int) -> None:
        pass

    def poll(self, deadline: float) -> Batch:  # noqa: ARG002
        if not self._batches:
            raise SourceError("away")
        self._batches -= 1
        return Batch((), {}, 1)

    def acknowledge(self, position: Any) -> None:
        pass

    def close(self) -> None:
        pass


class Stopping(threading.Event):
    """Notes how long somebody would wait, and ends after so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._times = times

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) == self._times:
            self.set()
        return self.is_set()


def test_each_wait_is_twice_as_long_until_something_lands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "StreamLanding", Landing)
    turns = iter([0] * 8 + [2, 0])
    runner = StreamRunner(
        cast("Any", None), cast("Any", None), DECLARATION, lambda: cast("Any", Source(next(turns)))
    )
    stopping = Stopping(10)
    runner.run(stopping)

    first = FIRST_RETRY_S
    assert stopping.waits[:8] == [min(first * 2**n, LAST_RETRY_S) for n in range(8)]
    assert stopping.waits[8:] == [first, first * 2]
