"""Jobs of the contract server: each look at one takes it a step further, as a test scripts it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from airbyte_api import models

OVER = {"succeeded", "failed", "cancelled"}


@dataclass
class Jobs:
    """The jobs of a server.

    Attributes:
        script: The statuses that a new job goes through, one at each look.
        on_status: Called with a job as it gets a status: lands files, say.
    """

    script: tuple[str, ...] = ("pending", "queued", "running", "succeeded")
    on_status: Callable[[dict[str, Any]], None] = lambda _: None
    all: dict[int, dict[str, Any]] = field(default_factory=dict)
    _rest: dict[int, list[str]] = field(default_factory=dict)

    def create(self, connection_id: str, kind: str) -> dict[str, Any]:
        """Create a job in the first status of the script."""
        number = len(self.all) + 17
        self.all[number] = {
            "jobId": number, "connectionId": connection_id, "jobType": kind, "status": "pending",
            "startTime": dt.datetime.now(dt.UTC).isoformat(),
        }  # fmt: skip
        self._rest[number] = list(self.script)
        return self.look(number)

    def look(self, number: int) -> dict[str, Any]:
        """Take a job one step further and show it."""
        job = self.all[number]
        if self._rest[number]:
            job["status"] = self._rest[number].pop(0)
            if job["status"] not in {"pending", "queued"}:
                job |= {"rowsSynced": 1234, "bytesSynced": 56_000, "duration": "PT12S"}
            self.on_status(job)
        models.JobResponse.model_validate(job)
        return dict(job)

    def end(self, number: int, status: str) -> dict[str, Any]:
        """End a job."""
        self._rest[number] = []
        self.all[number]["status"] = status
        return dict(self.all[number])

    def running(self, connection_id: str) -> int | None:
        """Return the job of a connection that is not over."""
        return next(
            (n for n, j in self.all.items()
             if j["connectionId"] == connection_id and j["status"] not in OVER), None,
        )  # fmt: skip

    def of(self, connection_id: str, order: str) -> list[dict[str, Any]]:
        """Return a connection's jobs, the oldest first unless the order says otherwise."""
        mine = [dict(job) for job in self.all.values() if job["connectionId"] == connection_id]
        return mine[::-1] if order.upper() == "CREATEDAT|DESC" else mine
