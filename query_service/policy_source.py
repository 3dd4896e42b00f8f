"""The access policy as the service holds it: read at the start, and again when its files change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from lavra.access.policy import Policy, load_policy, policy_files
from lavra.errors import ConfigurationError

logger = logging.getLogger("query_service")

LOOK_S = 1.0
"""How often the files are looked at."""

_Stamp = list[tuple[str, int, int]]


class PolicySource:
    """Holds the policy of a project; :attr:`policy` is None when it has none.

    A change that is wrong leaves the policy before it in force, and the log says why: a slip of
    the pen neither opens the lake nor shuts everybody out.

    Raises:
        ConfigurationError: the policy is wrong at the start.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._stamp = self._look()
        self.policy: Policy | None = load_policy(project)
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow the files."""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop following them."""
        if self._watching:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await asyncio.to_thread(self.look_again)

    def look_again(self) -> None:
        """Read the files again if they changed."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.policy = load_policy(self._project)
            logger.info("the access policy changed: the new one holds from now on")
        except (ConfigurationError, OSError) as error:
            logger.error("the access policy is wrong, the last one still holds: %s", error)  # noqa: TRY400

    def _look(self) -> _Stamp:
        found = []
        for path in policy_files(self._project):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((path.name, status.st_mtime_ns, status.st_size))
        return found
