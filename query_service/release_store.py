"""The releases that can be queried: which is current, which are still in use, which may go."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lavra.errors import (
    CatalogError,
    LavraError,
    NotReady,
    StorageError,
    UnknownEnvironment,
    UnknownSnapshot,
)
from query_service.cache.cold import ColdRule
from query_service.cache.live import LiveReader
from query_service.cache.loader import LoadReport, release_file
from query_service.cache.release_loader import ReleaseLoader
from query_service.cache.segments import linked
from query_service.live import LiveTables
from query_service.releases import (
    PRODUCTION,
    Release,
    ReleaseTable,
    current_release_ids,
    table_name,
)

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage
    from query_service.engine.base import Engine
    from query_service.running import Stamp

logger = logging.getLogger("query_service")

RETAINED = 4
"""Releases kept ready besides the current ones, so that ``snapshot`` can name them at once."""

RETRY_S = 5.0
"""A release that could not be loaded is tried again after this long."""


@dataclass
class LoadedRelease:
    """A release whose segments are on this machine.

    Attributes:
        release: The catalog's description.
        file: The manifest that engines read.
        report: What its load did.
        loaded_at: When.
        uses: Queries that run on it now.
        seconds: How long its load took.
        stamps: What answers say of it, by the tables that they read.
        rights: Of a view of the release, the digest of the rights that it shows; else empty.
        record: Which access log is beside its tables, if one is.
        live: The commit of the lake that its live tables show; None if it shows the release alone.
    """

    release: Release
    file: Path
    report: LoadReport
    loaded_at: dt.datetime
    uses: int = 0
    seconds: float = 0.0
    stamps: dict[tuple[str, ...], Stamp] = field(default_factory=dict, repr=False)
    rights: str = ""
    record: str = ""
    live: int | None = None
    by_name: dict[str, ReleaseTable] = field(init=False)
    segments: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {table_name(table): table for table in self.release.tables}
        self.segments = frozenset(s for table in self.report.cached for s in table.segments)

    @property
    def id(self) -> str:
        """The snapshot's id as answers show it: ``<release>``, or ``<release>.<live commit>``."""
        return str(self.release.id) if self.live is None else f"{self.release.id}.{self.live}"

    def data_through(self, names: tuple[str, ...] | None = None) -> dt.datetime | None:
        """Return the earliest ``data_through`` over the named tables (default: over all).

        None if one of them does not say, or if none is named.
        """
        tables = self.release.tables if names is None else [self.by_name[n] for n in names]
        times = [table.data_through for table in tables]
        known = [time for time in times if time is not None]
        return min(known) if known and len(known) == len(times) else None


class ReleaseStore:
    """Loads releases, swaps them whole, and frees what nobody needs any more.

    All methods run on one event loop; only loading happens in a thread. A query holds its
    release by :meth:`use`, so a swap never takes tables away from it.
    """

    def __init__(
        self,
        catalog: Catalog,
        storage: LakeStorage,
        folder: Path,
        engine: Engine,
        on_change: Callable[[LoadedRelease | None, set[str]], None] = lambda *_: None,
        *,
        cold: ColdRule | None = None,
    ) -> None:
        self._loader = ReleaseLoader(catalog, storage, folder, cold or ColdRule())
        self._live = LiveTables(LiveReader(catalog, storage, folder / "live"), engine)
        self._on_change = on_change
        self.more_files: Callable[[], set[str]] = set
        self._catalog = catalog
        self._folder = folder
        self._engine = engine
        self._current: dict[str, LoadedRelease] = {}
        self._loaded: dict[int, LoadedRelease] = {}
        self._loading = asyncio.Lock()
        self._failed: dict[int, tuple[float, LavraError]] = {}
        self._known: frozenset[str] = frozenset()

    @property
    def ready(self) -> bool:
        """Whether prod can be queried, or any environment where there is no prod."""
        return bool(self._current) and (
            PRODUCTION in self._current or PRODUCTION not in self._known
        )

    def all_current(self) -> dict[str, LoadedRelease]:
        """Return the current release of every environment."""
        return dict(self._current)

    def environments(self) -> dict[str, LoadedRelease | None]:
        """Return every environment that has a release, with its current one if that is loaded."""
        names = sorted((name != PRODUCTION, name) for name in self._known | self._current.keys())
        return {name: self._current.get(name) for _, name in names}

    def all_loaded(self) -> list[LoadedRelease]:
        """Return every release in memory: current, retained, or still in use."""
        return list(self._loaded.values())

    def current(self, environment: str = PRODUCTION) -> LoadedRelease:
        """Return the current release of an environment.

        Raises:
            NotReady: nothing has been loaded yet.
            UnknownEnvironment: it has no release.
        """
        found = self._current.get(environment)
        if found:
            return found
        if not self._known or environment in self._known:
            raise NotReady(
                f"No release of {environment!r} is loaded yet.",
                remedy="Run `sqlmesh plan` to make one, or wait until /readyz answers 200.",
            )
        raise UnknownEnvironment(f"There is no environment {environment!r} with a release.")

    def held(self, environment: str) -> LoadedRelease | None:
        """Return the current release of an environment, or None if it has none that is loaded."""
        return self._current.get(environment)

    @asynccontextmanager
    async def use(
        self, environment: str, snapshot: str | None = None
    ) -> AsyncIterator[LoadedRelease]:
        """Hold a release for a block: the current one, or the retained one that is named.

        Raises:
            UnknownSnapshot: no release of that environment has this id, or its data expired.
        """
        loaded = (
            self.current(environment)
            if snapshot is None
            else await self._named(environment, snapshot)
        )
        loaded.uses += 1
        try:
            yield loaded
        finally:
            loaded.uses -= 1

    async def refresh(self) -> bool:
        """Look for new releases now; return whether anything changed."""
        return await self.follow(await asyncio.to_thread(self._read_ids))

    async def follow(self, ids: dict[str, int]) -> bool:
        """Make these the current releases; return whether anything changed.

        A release that cannot be loaded leaves the one before it current, and is tried again
        after a while.
        """
        self._known = frozenset(ids)
        changed = False
        async with self._loading:
            for environment, release_id in sorted(ids.items(), key=_prod_first):
                before = self._current.get(environment)
                if before and before.release.id == release_id:
                    continue
                loaded = await self._load_or_keep(release_id)
                if loaded:
                    loaded = await self._live.begin(loaded)
                    self._current = {**self._current, environment: loaded}
                    changed = True
                    logger.info(
                        "release %s of %s is served: %d tables, %d segments new, %d reused, "
                        "%d recognized",
                        loaded.id, environment, loaded.report.tables,
                        loaded.report.segments_written, loaded.report.segments_reused,
                        loaded.report.segments_recognized,
                    )  # fmt: skip
            gone = set(self._current) - set(ids)
            if gone:
                self._current = {k: v for k, v in self._current.items() if k in ids}
                changed = True
            if changed:
                await self._free()
                await asyncio.to_thread(self._loader.free)
        return changed

    async def follow_live(self) -> bool:
        """Show what the streams of the current releases have landed; return whether any did."""
        changed = False
        for environment, loaded in self._current.items():
            newest = await self._live.newest(loaded)
            # A release that became current meanwhile has begun with a state of its own.
            if newest and self._current.get(environment) is loaded:
                self._current = {**self._current, environment: newest}
                changed = True
        if changed:
            await self._forget_states()
            self._tell(None)
            await self.keep_files()
        return changed

    async def keep_files(self) -> None:
        """Let the engines forget all but the loaded releases and the views (`more_files`)."""
        files = {str(loaded.file) for loaded in self._loaded.values()}
        files |= {str(path) for path in self._live.files}
        await self._engine.keep_only(files | self.more_files())

    async def close(self) -> None:
        """Forget everything; the segments stay on disk for the next start."""
        self._current, self._loaded = {}, {}
        await self._live.close()
        await asyncio.to_thread(self._loader.close)

    async def _named(self, environment: str, snapshot: str) -> LoadedRelease:
        self.current(environment)
        state = self._live.named(snapshot)
        if state and state.release.environment == environment:
            return state
        if not snapshot.isdecimal() or len(snapshot) > 18:
            raise UnknownSnapshot(f"There is no release {snapshot!r}.")
        release_id = int(snapshot)
        loaded = self._loaded.get(release_id)
        if loaded is None:
            async with self._loading:
                try:
                    loaded = self._loaded.get(release_id) or await self._load(release_id)
                except (CatalogError, StorageError) as error:
                    raise UnknownSnapshot(
                        f"The release {release_id} is no longer retained: {error.message}"
                    ) from error
        if loaded is None or loaded.release.environment != environment:
            raise UnknownSnapshot(f"There is no release {release_id} of {environment!r}.")
        return loaded

    async def _load_or_keep(self, release_id: int) -> LoadedRelease | None:
        failed = self._failed.get(release_id)
        if failed and time.monotonic() - failed[0] < RETRY_S:
            return None
        try:
            loaded = self._loaded.get(release_id) or await self._load(release_id)
        except LavraError as error:
            self._failed[release_id] = (time.monotonic(), error)
            logger.error("release %d cannot be loaded: %s", release_id, error)  # noqa: TRY400
            return None
        self._failed.pop(release_id, None)
        if loaded:
            await self._engine.prepare(str(loaded.file))
        return loaded

    async def _load(self, release_id: int) -> LoadedRelease | None:
        began = time.monotonic()
        loaded = await asyncio.to_thread(self._load_in_thread, release_id)
        if loaded:
            loaded.seconds = time.monotonic() - began
            self._loaded[release_id] = loaded
            self._tell(loaded)
        return loaded

    def _load_in_thread(self, release_id: int) -> LoadedRelease | None:
        loaded = [held.report for held in self._loaded.copy().values()]
        found = self._loader.load(release_id, loaded)
        if found is None:
            return None
        release, report = found
        return LoadedRelease(
            release, release_file(self._folder, release), report, dt.datetime.now(dt.UTC)
        )

    async def _forget_states(self) -> None:
        current = {loaded.release.id for loaded in self._current.values()}
        await self._live.forget(set(self._loaded), current)

    def _tell(self, loaded: LoadedRelease | None) -> None:
        self._on_change(loaded, {held.id for held in self._loaded.values()} | self._live.ids)

    def _read_ids(self) -> dict[str, int]:
        with self._catalog.connect() as connection:
            return current_release_ids(connection)

    async def _free(self) -> None:
        """Let go of releases that are neither current, nor in use, nor among the last few."""
        current = {loaded.release.id for loaded in self._current.values()}
        old = sorted(i for i, loaded in self._loaded.items() if i not in current)
        for release_id in old[: max(len(old) - RETAINED, 0)]:
            if not self._loaded[release_id].uses:
                del self._loaded[release_id]
        await self._forget_states()
        self._tell(None)
        await self.keep_files()
        kept = frozenset().union(*(loaded.segments for loaded in self._loaded.values()))
        files = {loaded.file.name for loaded in self._loaded.values()}
        await asyncio.to_thread(_delete_unused, self._folder, kept, files)


def _prod_first(entry: tuple[str, int]) -> tuple[bool, str]:
    return entry[0] != PRODUCTION, entry[0]


def _delete_unused(folder: Path, segments: frozenset[str], files: set[str]) -> None:
    for path in folder.glob("segments/*/*.seg"):
        if str(linked(path)) not in segments:
            path.unlink(missing_ok=True)
    for path in folder.glob("releases/*.json"):
        if path.name not in files:
            path.unlink(missing_ok=True)
    # What a predecessor was writing when it was killed; nothing is loading now.
    for path in (*folder.glob("releases/*.tmp"), *folder.glob("segments/*/*.tmp")):
        path.unlink(missing_ok=True)
