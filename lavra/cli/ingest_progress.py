"""What the commands of `lavra ingest` say on standard error while they work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lavra.cli.console import err

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lavra.airbyte.jobs import Job
    from lavra.errors import LavraError
    from lavra.landing.run import StreamResult

_REPORT_EVERY_ROWS = 500_000
_REPORT_EVERY_S = 10.0


class Progress:
    """Tells people what lands.

    Attributes:
        troubles: How many were told.
    """

    def __init__(self) -> None:
        self._told, self._told_at = 0, time.monotonic()
        self._job: int | None = None
        self.troubles = 0

    def waiting(self, connection: str) -> None:
        """Say that another run is waited for."""
        err.print(f"{connection}: another run of it is under way; waiting", markup=False)

    def rows(self, connection: str, stream: str, row_count: int) -> None:
        """Say how many rows are written, now and then."""
        waited_s = time.monotonic() - self._told_at
        if row_count - self._told >= _REPORT_EVERY_ROWS or waited_s >= _REPORT_EVERY_S:
            self._told, self._told_at = row_count, time.monotonic()
            err.print(f"{connection}.{stream}: {row_count:,} rows so far", markup=False)

    def job(self, connection: str, job: Job, *, joined: bool) -> None:
        """Say how a job of Airbyte stands."""
        if joined and self._job != job.id:
            err.print(f"{connection}: Airbyte's job {job.id} runs already; following it")
        self._job = job.id
        said = [f"{connection}: Airbyte's job {job.id} is {job.status}"]
        if job.row_count is not None:
            said.append(f"{job.row_count:,} rows")
        if job.bytes is not None:
            said.append(size_text(job.bytes))
        if job.status == "incomplete":
            said.append("an attempt failed, Airbyte will try again")
        err.print(", ".join(said), markup=False, soft_wrap=True)

    def due(self, connection: str, reason: str) -> None:
        """Say why a connection is landed."""
        err.print(f"{connection}: {reason}", markup=False)

    def models(self, connections: Sequence[str]) -> None:
        """Say that the models run."""
        cause = f"after {', '.join(connections)}" if connections else "as the watch begins"
        err.print(f"running the models that are due, {cause}", markup=False, soft_wrap=True)

    def trouble(self, error: LavraError) -> None:
        """Say what is wrong, and count it."""
        self.troubles += 1
        err.print(str(error), markup=False, soft_wrap=True)

    def done(self, result: StreamResult) -> None:
        """Say what became of a stream."""
        from lavra.landing.schema_changes import change_text  # noqa: PLC0415 - PyArrow is slow

        self._told, self._told_at = 0, time.monotonic()
        name = f"{result.connection}.{result.stream}"
        if result.error:
            err.print(f"{name}: FAILED: {result.error}", markup=False, soft_wrap=True)
            if result.remedy:
                err.print(f"  {result.remedy}", markup=False, soft_wrap=True)
            return
        said = [f"{result.row_count:,} rows", size_text(result.bytes), f"{result.seconds:.1f} s"]
        if result.misfit_count:
            said.append(f"{result.misfit_count:,} values did not fit and are null")
        if result.skipped_count:
            said.append(f"{result.skipped_count:,} malformed rows left out")
        said += [change_text(change) for change in result.schema_changes]
        err.print(f"{name}: {', '.join(said)}", markup=False, soft_wrap=True)


def size_text(count: int) -> str:
    """Return a number of bytes for people: ``1.5 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
