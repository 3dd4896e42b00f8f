"""Steps that run side by side, each as soon as those it needs are done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lavra.errors import LavraError

Observer = Callable[[dict[str, Any]], None]
"""Told of every event, one at a time; an event is a dictionary with ``type``, for JSON."""

StepState = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        name: Short and unique; its log is ``<name>.log``.
        title: What a person reads.
        run: Does it, in a thread of its own; returns a remark for the person, or "".
        needs: Names of the steps that must be done before.
        log: Where its output goes, if it has any.
    """

    name: str
    title: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()
    log: Path | None = None


class Cancelled(LavraError):
    """The steps were stopped before they were all done."""


class StepRunner:
    """Runs steps in threads.

    A failed step fails nothing by itself: what needs it is skipped, :meth:`wait` raises its error
    if it waits for it, and the caller decides.

    Args:
        observer: Told of each step that starts and ends.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._steps: dict[str, Step] = {}
        self._states: dict[str, StepState] = {}
        self._errors: dict[str, LavraError] = {}
        self._changed = threading.Condition(threading.RLock())
        self._cancelled = False

    def add(self, *steps: Step) -> None:
        """Add steps, and start those whose needs are met. May be called while others run."""
        with self._changed:
            for step in steps:
                self._steps[step.name] = step
                self._states[step.name] = "waiting"
            missing = {need for step in steps for need in step.needs if need not in self._steps}
            if missing:
                msg = f"steps that are needed but unknown: {sorted(missing)}"
                raise ValueError(msg)
            self._advance()

    def state(self, name: str) -> StepState:
        """Return how far a step is."""
        with self._changed:
            return self._states[name]

    def error(self, name: str) -> LavraError | None:
        """Return why a step failed or was skipped."""
        with self._changed:
            return self._errors.get(name)

    def raise_failure(self) -> None:
        """Raise the error of the first step that failed, if one did."""
        with self._changed:
            for error in self._errors.values():
                raise error

    def wait(self, *names: str, timeout_s: float | None = None) -> bool:
        """Wait until these steps are done (default: all); False when the time is up first.

        Raises:
            LavraError: one of them failed, or needs one that did; it is that one's error.
            Cancelled: :meth:`cancel` was called.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while True:
                wanted = names or tuple(self._steps)
                for name in wanted:
                    if name in self._errors:
                        raise self._errors[name]
                if all(self._states[name] == "done" for name in wanted):
                    return True
                if self._cancelled:
                    raise Cancelled("Stopped.")
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return False
                self._changed.wait(remaining)

    def cancel(self) -> None:
        """Start nothing more, and wake those who wait. Running steps are not interrupted."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def running(self) -> list[str]:
        """Return the names of the steps that run now."""
        with self._changed:
            return [name for name, state in self._states.items() if state == "running"]

    def _advance(self) -> None:
        if self._cancelled:
            return
        progressed = True
        while progressed:  # a skipped step may cause others to be skipped
            progressed = False
            for name, step in self._steps.items():
                if self._states[name] != "waiting":
                    continue
                failed = next((need for need in step.needs if need in self._errors), None)
                if failed is not None:
                    self._errors[name] = self._errors[failed]
                    self._set(name, "skipped", detail=f"needs {failed}")
                    progressed = True
                elif all(self._states[need] == "done" for need in step.needs):
                    self._set(name, "running")
                    threading.Thread(
                        target=self._perform, args=(step,), name=f"step-{name}", daemon=True
                    ).start()

    def _perform(self, step: Step) -> None:
        began = time.monotonic()
        failure: LavraError | None = None
        remark = ""
        try:
            remark = step.run()
        except LavraError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a thread's error must reach whoever waits
            failure = LavraError(f"{step.title}: {type(error).__name__}: {error}")
        elapsed_s = round(time.monotonic() - began, 2)
        with self._changed:
            if failure is None:
                self._set(step.name, "done", elapsed_s=elapsed_s, detail=remark)
            else:
                self._errors[step.name] = failure
                if not self._cancelled:
                    first = failure.message.split("\n", 1)[0]
                    self._set(step.name, "failed", elapsed_s=elapsed_s, detail=first)
                else:
                    self._states[step.name] = "failed"
            self._advance()
            self._changed.notify_all()

    def _set(self, name: str, state: StepState, **more: Any) -> None:
        self._states[name] = state
        step = self._steps[name]
        event = {"type": "step", "name": name, "title": step.title, "state": state, **more}
        if step.log:
            event["log"] = str(step.log)
        self._observer(event)
