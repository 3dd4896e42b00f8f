"""Steps: order, side by side, failures, cancelling."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from lavra.errors import LavraError, ProcessError
from lavra.local.steps import Cancelled, Step, StepRunner


class Recorder:
    """An observer that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def told(self) -> list[tuple[str, str]]:
        return [(event["name"], event["state"]) for event in self.events]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def runner(recorder: Recorder) -> StepRunner:
    return StepRunner(recorder)


def step(name: str, run: Any = lambda: "", *needs: str) -> Step:
    return Step(name, name.title(), run, needs)


def fail() -> str:
    raise ProcessError("it broke", remedy="Mend it.")


def test_a_step_starts_after_those_it_needs(runner: StepRunner, recorder: Recorder) -> None:
    order: list[str] = []

    def note(name: str) -> Any:
        return lambda: order.append(name) or ""

    runner.add(step("a", note("a")), step("b", note("b"), "a"), step("c", note("c"), "b"))

    assert runner.wait(timeout_s=60)
    assert order == ["a", "b", "c"]
    assert recorder.told()[-1] == ("c", "done")


def test_independent_steps_run_at_the_same_time(runner: StepRunner) -> None:
    meeting = threading.Barrier(3, timeout=60)  # breaks unless all three are there at once

    def meet() -> str:
        meeting.wait()
        return ""

    runner.add(step("a", meet), step("b", meet), step("c", meet))

    assert runner.wait(timeout_s=60)


def test_a_failure_skips_what_needs_it_and_nothing_else(
    runner: StepRunner, recorder: Recorder
) -> None:
    runner.add(step("bad", fail), step("other"))
    runner.add(step("after", lambda: "", "bad"), step("later", lambda: "", "after"))

    assert runner.wait("other", timeout_s=60)
    with pytest.raises(ProcessError, match="it broke"):
        runner.wait("later", timeout_s=60)
    with pytest.raises(ProcessError, match="it broke"):
        runner.raise_failure()
    assert ("after", "skipped") in recorder.told()
    assert ("later", "skipped") in recorder.told()
    assert ("after", "running") not in recorder.told()


def test_an_unforeseen_error_of_a_step_names_the_step(runner: StepRunner) -> None:
    runner.add(step("sum", lambda: str(1 / 0)))

    with pytest.raises(LavraError, match="Sum: ZeroDivisionError"):
        runner.wait(timeout_s=60)


def test_steps_may_be_added_while_others_run(runner: StepRunner) -> None:
    go = threading.Event()
    runner.add(step("slow", lambda: str(go.wait(5))))
    runner.add(step("next", lambda: "", "slow"))

    assert not runner.wait("next", timeout_s=0.05)
    assert runner.running() == ["slow"]
    go.set()
    assert runner.wait(timeout_s=60)


def test_an_unknown_need_is_a_mistake(runner: StepRunner) -> None:
    with pytest.raises(ValueError, match="ghost"):
        runner.add(step("a", lambda: "", "ghost"))


def test_cancelling_wakes_the_waiting_and_starts_nothing_more(runner: StepRunner) -> None:
    go = threading.Event()
    started: list[str] = []
    runner.add(step("slow", lambda: str(go.wait(5))))
    runner.add(step("next", lambda: started.append("next") or "", "slow"))
    threading.Timer(0.05, runner.cancel).start()

    with pytest.raises(Cancelled):
        runner.wait("next", timeout_s=60)
    go.set()
    time.sleep(0.1)
    assert started == []
