"""Keeps the live tables of the current releases right to the last commit of their streams."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lavra.errors import LavraError
from query_service.cache.live import LiveReader, LiveViews
from query_service.cache.loader import LoadReport

if TYPE_CHECKING:
    from query_service.engine.base import Engine
    from query_service.release_store import LoadedRelease, ReleaseStore

logger = logging.getLogger("query_service")

KEPT = 4
"""Live states of a release that stay ready besides the newest, for queries that name them."""

RETRY_S, LAST_RETRY_S = 2.0, 16.0
"""Until live tables that could not be read are read again: at first, and at most."""


@dataclass
class _Followed:
    """A release with live tables, and its states by id, the newest last."""

    settled: LoadedRelease
    views: LiveViews
    states: dict[str, LoadedRelease] = field(default_factory=dict)
    retry_at: float = 0.0
    wait_s: float = RETRY_S


class LiveTables:
    """The live states of releases. All methods run on one event loop.

    Args:
        reader: Evaluates them, in a thread.
        engine: Is told of each state before anybody asks for it.
    """

    def __init__(self, reader: LiveReader, engine: Engine) -> None:
        self._reader, self._engine = reader, engine
        self._followed: dict[int, _Followed] = {}
        self._reading = asyncio.Lock()

    @property
    def ids(self) -> set[str]:
        """The ids of all states that are kept."""
        return {name for followed in self._followed.values() for name in followed.states}

    @property
    def files(self) -> set[Path]:
        """Their manifests."""
        return {state.file for state in self._states}

    @property
    def _states(self) -> list[LoadedRelease]:
        return [s for followed in self._followed.values() for s in followed.states.values()]

    def named(self, snapshot: str) -> LoadedRelease | None:
        """Return the state ``<release>.<commit>``, if it is kept."""
        return next(
            (f.states[snapshot] for f in self._followed.values() if snapshot in f.states), None
        )

    async def begin(self, loaded: LoadedRelease) -> LoadedRelease:
        """Return a release's live state, before it becomes current; itself if nothing is live.

        So a new release never takes back what the one before it showed already.
        """
        if loaded.release.id not in self._followed:
            try:
                views = await asyncio.to_thread(self._reader.find, loaded.release)
            except LavraError as error:
                logger.error("release %s: its live tables are unknown: %s", loaded.id, error)  # noqa: TRY400 - its words suffice
                return loaded
            if not views.queries:
                return loaded
            self._followed[loaded.release.id] = _Followed(loaded, views)
            try:
                # Beside the reading of commits of the release before it, which go on being shown.
                await asyncio.to_thread(self._reader.settle, loaded.release, views)
            except LavraError as error:
                logger.warning("live tables of release %s: %s", loaded.id, error)
        return await self.newest(loaded) or loaded

    async def newest(self, loaded: LoadedRelease) -> LoadedRelease | None:
        """Return a newer state of a release, or None while there is none.

        A state that cannot be read leaves the one before it, and is tried again after a while.
        """
        followed = self._followed.get(loaded.release.id)
        if followed is None or time.monotonic() < followed.retry_at:
            return None
        async with self._reading:
            try:
                state = await asyncio.to_thread(self._read, followed, loaded)
                if state:
                    await self._engine.prepare(str(state.file))
            except (LavraError, OSError) as error:
                followed.retry_at = time.monotonic() + followed.wait_s
                followed.wait_s = min(followed.wait_s * 2, LAST_RETRY_S)
                logger.warning("live tables of release %s: %s", loaded.id, error)
                return None
        followed.wait_s = RETRY_S
        if state:
            followed.states[state.id] = state
        return state

    async def forget(self, loaded: set[int], current: set[int]) -> None:
        """Let go of states of releases that are not loaded, and of old ones, unless in use.

        Args:
            loaded: Releases that are loaded.
            current: Those whose commits are followed.
        """
        for release_id, followed in list(self._followed.items()):
            old = list(followed.states.items())
            if release_id in loaded:
                old = old[: -KEPT - 1]
            for name, state in old:
                if not state.uses:
                    del followed.states[name]
            if release_id not in loaded and not followed.states:
                del self._followed[release_id]
        files = self.files | {Path(path) for state in self._states for path in state.segments}
        followed_on = {i: f.views for i, f in self._followed.items() if i in current}
        async with self._reading:
            try:
                await asyncio.to_thread(self._reader.keep_only, files, followed_on)
            except LavraError as error:
                logger.warning("live tables: %s", error)

    async def close(self) -> None:
        """Free what is held."""
        async with self._reading:
            await asyncio.to_thread(self._reader.close)

    def _read(self, followed: _Followed, loaded: LoadedRelease) -> LoadedRelease | None:
        settled = followed.settled
        after = loaded.live or settled.release.snapshot_id
        commit = self._reader.last_commit(followed.views, after)
        if commit is None:
            return None
        began = time.monotonic()
        before = (loaded.live, loaded.report.cached) if loaded.live is not None else None
        path, cached, through = self._reader.load(
            settled.release, followed.views, commit, settled.report.cached, before
        )
        tables = [
            replace(table, data_through=_latest(table.data_through, through))
            if f"{table.schema_name}.{table.table_name}" in followed.views.queries
            else table
            for table in settled.release.tables
        ]
        report = LoadReport(tables=len(cached), cached=cached, sources=settled.report.sources)
        return type(settled)(
            replace(settled.release, tables=tables), path, report, dt.datetime.now(dt.UTC),
            seconds=time.monotonic() - began, live=commit,
        )  # fmt: skip


POLL_S = 0.1
"""Between two looks for commits of streams, of releases with live tables."""


async def follow_live(store: ReleaseStore) -> None:
    """Look for commits again and again; whatever fails is tried again."""
    while True:
        await asyncio.sleep(POLL_S)
        try:
            await store.follow_live()
        except Exception:  # whatever it is, later commits must still be shown
            logger.exception("following live tables failed, trying again")


def _latest(*times: dt.datetime | None) -> dt.datetime | None:
    known = [time for time in times if time is not None]
    return max(known) if known else None
