"""One line of a benchmark: ours against a reference, measured in the same run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """What one benchmark found. Both figures come from one run on one machine.

    Attributes:
        name: What was measured, for a person ("land 1,000,000 rows of Postgres").
        measured: Our figure, in ``unit``; less is better.
        reference: The figure of ``reference_name``, in ``unit``, more than zero.
        reference_name: What ours is held against ("COPY to CSV").
        unit: "s" or "ms".
        most: The aim: ``measured / reference`` is at most this. None: no aim.
        most_above: The aim: ``measured - reference`` is at most this, in ``unit``. None: no aim.
        note: Whatever a reader needs to trust the figures: rows, repetitions, percentile.
    """

    name: str
    measured: float
    reference: float
    reference_name: str
    unit: str = "s"
    most: float | None = None
    most_above: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.reference <= 0 or self.measured < 0:
            msg = f"{self.name}: {self.measured} against {self.reference} is no ratio"
            raise ValueError(msg)

    @property
    def ratio(self) -> float:
        """Ours divided by the reference."""
        return self.measured / self.reference

    @property
    def above(self) -> float:
        """Ours minus the reference, in ``unit``."""
        return self.measured - self.reference

    @property
    def aim(self) -> str:
        """The aim as a person reads it, empty when there is none."""
        aims = []
        if self.most is not None:
            aims.append(f"at most {self.most:g} times")
        if self.most_above is not None:
            aims.append(f"at most {self.most_above:g} {self.unit} above")
        return ", ".join(aims)

    @property
    def met(self) -> bool | None:
        """Whether every aim is met; None when there is no aim."""
        if not self.aim:
            return None
        within_ratio = self.most is None or self.ratio <= self.most
        within_difference = self.most_above is None or self.above <= self.most_above
        return within_ratio and within_difference
