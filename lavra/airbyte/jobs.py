"""Jobs of a real Airbyte: started, or joined when one runs already, and followed to their end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lavra.errors import AirbyteError

if TYPE_CHECKING:
    from lavra.airbyte.server import AirbyteServer

INCOMPLETE_PATIENCE_S = 3600.0
"""How long a job may stay incomplete: an attempt failed, and Airbyte waits to try again."""

_OVER = {"succeeded", "failed", "cancelled"}
_EMPTYING = {"reset", "clear"}


@dataclass(frozen=True)
class Job:
    """A job as the server tells of it; rows and bytes are None until it knows them."""

    id: int
    kind: str
    status: str
    row_count: int | None = None
    bytes: int | None = None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Job:
        """Return a job from the API's JSON."""
        return cls(
            int(answer["jobId"]), answer["jobType"], answer["status"],
            answer.get("rowsSynced"), answer.get("bytesSynced"),
        )  # fmt: skip

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in _OVER

    @property
    def succeeded(self) -> bool:
        """Whether all of it has landed."""
        return self.status == "succeeded"

    @property
    def empties(self) -> bool:
        """Whether it removes what has landed."""
        return self.kind in _EMPTYING

    def problem(self) -> tuple[str, str]:
        """Return what went wrong with a job that did not succeed, and what to do."""
        rows = "" if self.row_count is None else f" after {self.row_count:,} rows"
        said = {
            "failed": f"Airbyte's job {self.id} failed{rows}; all of its attempts did.",
            "cancelled": f"Airbyte's job {self.id} was cancelled{rows}, by a person or a change "
            "of the connection.",
        }.get(self.status, f"Airbyte's job {self.id} is still incomplete{rows}: an attempt failed.")
        remedy = {
            "cancelled": "Run it again. What it appended is entered; what it would have "
            "overwritten stays as it was.",
        }.get(
            self.status,
            "Its log in Airbyte's UI says why (connection, Timeline). What it appended is "
            "entered; what it would have overwritten stays as it was.",
        )
        return said, remedy


class JobProgress(Protocol):
    """Hears how a job goes on."""

    def job(self, connection: str, job: Job, *, joined: bool) -> None:
        """The job changed; ``joined``: somebody else had started it."""


def run_job(
    server: AirbyteServer,
    connection_id: str,
    kind: str,
    tell: Callable[[Job, bool], None],
    *,
    poll_s: float,
    patience_s: float = INCOMPLETE_PATIENCE_S,
) -> Job:
    """Start a job, or join the one that runs, and return it when it is over.

    An interrupted caller leaves the job running; the next call joins it.

    Args:
        server: Where it runs.
        connection_id: The server's id of the connection.
        kind: ``sync`` or ``refresh``.
        tell: Called with the job at each change, and whether it was joined.
        poll_s: Seconds between two looks.
        patience_s: Seconds after which an incomplete job is returned as it is.

    Raises:
        AirbyteError: the server cannot be reached, or starts no job.
    """
    job, joined = _begin(server, connection_id, kind)
    tell(job, joined)
    incomplete_since: float | None = None
    while not job.is_over:
        if job.status != "incomplete":
            incomplete_since = None
        elif incomplete_since is None:
            incomplete_since = time.monotonic()
        elif time.monotonic() - incomplete_since > patience_s:
            return job
        time.sleep(poll_s)
        now = Job.of(server.job(job.id))
        if now != job:
            tell(now, joined)
        job = now
    return job


def newest(server: AirbyteServer, connection_id: str) -> Job | None:
    """Return the connection's newest job."""
    answer = server.newest_job(connection_id)
    return Job.of(answer) if answer else None


def _begin(server: AirbyteServer, connection_id: str, kind: str) -> tuple[Job, bool]:
    running = newest(server, connection_id)
    if running and not running.is_over:
        return running, True
    try:
        return Job.of(server.start_job(connection_id, kind)), False
    except AirbyteError:
        running = newest(server, connection_id)  # somebody was quicker: the server refuses two
        if running and not running.is_over:
            return running, True
        raise
