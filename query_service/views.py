"""Views of releases: what one caller may see of one, as a release of its own.

A view is a restricted release (:mod:`query_service.cache.restricted`) on which everything works
that works on a release: queries, descriptions, the result cache. Callers who see the same share a
view. The policy's copies of segments are bounded: views that nobody uses go first, those asked
for longest ago before the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lavra.access.rights import (
    EVERYTHING,
    Rights,
    TableShape,
    environments_allow,
    quota_of,
    rights_of,
    roles_of,
    with_tags,
)
from lavra.errors import Forbidden, LavraError, ResourcesExhausted, UnknownEnvironment
from query_service.access_record import SHAPE, AccessRecord
from query_service.access_rules import AccessRules
from query_service.cache.loader import LoadReport
from query_service.cache.restricted import RestrictedWriter
from query_service.release_store import LoadedRelease, ReleaseStore
from query_service.releases import table_name

if TYPE_CHECKING:
    from lavra.access.caller import Caller
    from lavra.access.policy import Policy, Quota
    from query_service.releases import Release, ReleaseTable

logger = logging.getLogger("query_service")

ViewKey = tuple[str, str, str]
"""A release's id, the access log beside it, and the digest of the rights."""

REMEMBERED = 4096
"""Callers whose rights are kept, so that a repeated query does not work them out again."""


class Views:
    """Makes, keeps and drops views. All methods run on one event loop.

    Args:
        store: The releases.
        access: What views are made by.
        folder: Restricted releases are in its ``restricted``, which is emptied at the start.
        record: The access log, for those who may see it.
    """

    def __init__(
        self, store: ReleaseStore, access: AccessRules, folder: Path, record: AccessRecord
    ) -> None:
        folder = folder / "restricted"
        shutil.rmtree(folder, ignore_errors=True)
        self._store = store
        self._record = record
        self._source = access.source
        self._folder = folder
        self._most_bytes = access.most_bytes
        self._loop = asyncio.get_running_loop()
        self._writer = RestrictedWriter(folder, access.key, self._claim_from_thread, access.storage)
        self._views: OrderedDict[ViewKey, LoadedRelease] = OrderedDict()
        self._rights: OrderedDict[tuple[Caller, str, str], Rights] = OrderedDict()
        self._roles: OrderedDict[Caller, frozenset[str]] = OrderedDict()
        self._making = asyncio.Lock()
        self._claimed: dict[Path, int] = {}
        self._policy_digest = ""
        store.more_files = lambda: {str(v.file) for v in self._views.values()} | record.files

    @property
    def bytes(self) -> int:
        """Bytes of the copies on disk."""
        return sum(_size(path) for path in self._copies())

    def quota(self, caller: Caller) -> Quota | None:
        """Return how much a caller may ask; None is no limit."""
        policy = self._policy()
        if policy is None or caller.kind == "loopback":
            return None
        return quota_of(policy, self.roles(caller))

    def roles(self, caller: Caller) -> frozenset[str]:
        """Return the roles that the policy gives a caller."""
        policy = self._policy()
        if policy is None:
            return frozenset()
        found = self._roles.get(caller)
        if found is None:
            found = self._roles[caller] = roles_of(policy, caller)
            if len(self._roles) > REMEMBERED:
                self._roles.popitem(last=False)
        return found

    def check(self, caller: Caller, environment: str) -> None:
        """Refuse a caller to whom an environment shows nothing.

        Raises:
            Forbidden: its credential does not reach the environment; or there is no policy, and
                the caller comes from elsewhere.
            UnknownEnvironment: nothing is granted there; the same as if it did not exist.
        """
        caller.require(environment)
        policy = self._policy()
        if caller.kind == "loopback":
            return
        if policy is None:
            raise Forbidden(
                "This lake has no access policy, so only its own machine may ask.",
                remedy="Write one in access/ (docs/access.md).",
            )
        if not environments_allow(policy, self.roles(caller), caller, environment):
            raise UnknownEnvironment(f"There is no environment {environment!r} with a release.")

    @asynccontextmanager
    async def use(
        self,
        caller: Caller,
        environment: str,
        snapshot: str | None = None,
        with_record: bool = False,
    ) -> AsyncIterator[LoadedRelease]:
        """Hold what a caller may see of a release for a block.

        Args:
            caller: Who.
            environment: Of the release.
            snapshot: A retained release instead of the current one.
            with_record: The access log beside it, if the caller may see that.

        Raises:
            LavraError: as :meth:`check` and :meth:`ReleaseStore.use`, or there is no room.
        """
        self.check(caller, environment)
        async with contextlib.AsyncExitStack() as held:
            loaded = await held.enter_async_context(self._store.use(environment, snapshot))
            if with_record and self._sees_record(caller, environment):
                loaded = await self._record.beside(loaded)
                held.enter_context(_using(loaded))
                await self._drop_records_before(loaded)
            rights = self._rights_on(caller, loaded)
            view = loaded if rights.is_everything else await self._view(loaded, rights)
            held.enter_context(_using(view))
            yield view

    def held(self, caller: Caller, environment: str) -> LoadedRelease | None:
        """Return what :meth:`use` would of the current release, if it is there already."""
        loaded = self._store.held(environment)
        if loaded is None:
            return None
        if caller.kind == "loopback":
            return loaded
        try:
            self.check(caller, environment)
        except LavraError:
            return None
        view = self._views.get(_key(loaded, self._rights_on(caller, loaded)))
        if view:
            self._views.move_to_end(_key(loaded, self._rights_on(caller, loaded)))
        return view

    async def current(
        self, caller: Caller, environment: str, *, with_record: bool = False
    ) -> LoadedRelease:
        """Return what a caller may see of an environment's current release, to describe it.

        Raises:
            LavraError: as :meth:`use`.
        """
        async with self.use(caller, environment, with_record=with_record) as view:
            return view

    def environments(self, caller: Caller) -> dict[str, LoadedRelease | None]:
        """Return the environments that a caller may know of, each with its current release."""
        found = {}
        for name, loaded in self._store.environments().items():
            try:
                self.check(caller, name)
            except (Forbidden, UnknownEnvironment):
                continue
            found[name] = loaded
        return found

    def tag(self, caller: Caller, environment: str, snapshot: str | None) -> tuple[str, str]:
        """Return the id of the release that a query is for, and what its answer's tag also needs.

        Raises:
            LavraError: as :meth:`check`, or there is no release.
        """
        self.check(caller, environment)
        current = self._store.current(environment)
        if caller.kind == "loopback":
            return snapshot or current.id, ""
        if snapshot in {None, current.id}:
            return current.id, self._rights_on(caller, current).digest
        return str(snapshot), f"{self._policy_digest} {caller.identity} {sorted(caller.roles)}"

    def releases_changed(self, release_ids: set[str]) -> None:
        """Forget the views of releases that are gone; tags of columns may be others now."""
        self._rights.clear()
        for key in [key for key in self._views if key[0] not in release_ids]:
            del self._views[key]
        self._delete_unused()
        self._record.free(list(self._views.values()), release_ids)

    def _sees_record(self, caller: Caller, environment: str) -> bool:
        policy = self._policy()
        if caller.kind == "loopback" or policy is None:
            return caller.kind == "loopback"
        return bool(rights_of(policy, caller, environment, [SHAPE]).tables)

    async def _drop_records_before(self, loaded: LoadedRelease) -> None:
        """Forget views with an earlier access log, but those in use."""
        old = [
            key
            for key, view in self._views.items()
            if key[1] not in {"", loaded.record} and not view.uses
        ]
        for key in old:
            del self._views[key]
        if old:
            self._delete_unused()
        if self._record.free(list(self._views.values())) or old:
            await self._store.keep_files()

    def _policy(self) -> Policy | None:
        policy = self._source.policy
        digest = policy.digest if policy else ""
        if digest != self._policy_digest:
            self._policy_digest = digest
            self._roles.clear()
            self._rights.clear()
        return policy

    def _rights_on(self, caller: Caller, loaded: LoadedRelease) -> Rights:
        policy = self._policy()
        if caller.kind == "loopback" or policy is None:
            return EVERYTHING if caller.kind == "loopback" else Rights()
        key = caller, loaded.id, loaded.record
        found = self._rights.get(key)
        if found is None:
            tables = self._shapes(loaded)
            found = rights_of(policy, caller, loaded.release.environment, tables)
            self._rights[key] = found
            if len(self._rights) > REMEMBERED:
                self._rights.popitem(last=False)
        return found

    def _shapes(self, loaded: LoadedRelease) -> list[TableShape]:
        """Return a release's tables with every tag that any current release gives their columns.

        A column that was tagged yesterday is masked in the release of last week too.
        """
        tags: dict[str, dict[str, frozenset[str]]] = {}
        for release in self._store.all_current().values():
            for table in release.release.tables:
                known = tags.setdefault(table_name(table), {})
                for name, own in _tags(table).items():
                    known[name] = known.get(name, frozenset()) | own
        shapes = []
        for cached in loaded.report.cached:
            shape = TableShape(cached.name, dict.fromkeys(cached.schema.names, frozenset[str]()))
            tagged = with_tags(shape, _tags(loaded.by_name[cached.name]))
            shapes.append(with_tags(tagged, tags.get(cached.name, {})))
        return shapes

    async def _view(self, loaded: LoadedRelease, rights: Rights) -> LoadedRelease:
        key = _key(loaded, rights)
        async with self._making:
            view = self._views.get(key)
            if view is None:
                try:
                    view = await asyncio.to_thread(self._make, loaded, rights)
                    self._views[key] = view
                finally:
                    self._claimed.clear()
                    self._delete_unused()
        self._views.move_to_end(key)
        return view

    def _make(self, loaded: LoadedRelease, rights: Rights) -> LoadedRelease:
        digest = rights.digest
        path = self._folder / "releases" / f"{loaded.id}-{loaded.record}-{digest}.json"
        cached = self._writer.write(path, loaded.report.cached, rights)
        shown = {table.name for table in cached}
        release = _restricted(loaded.release, rights, shown)
        report = LoadReport(tables=len(cached), cached=cached)
        return LoadedRelease(
            release, path, report, dt.datetime.now(dt.UTC), rights=digest,
            record=loaded.record, live=loaded.live,
        )  # fmt: skip

    def _claim_from_thread(self, path: Path, size: int) -> None:
        asyncio.run_coroutine_threadsafe(self._claim(path, size), self._loop).result()

    async def _claim(self, path: Path, size: int) -> None:
        """Keep a copy's file while a view is made of it, and make room for it.

        Raises:
            ResourcesExhausted: the views in use leave no room.
        """
        self._claimed[path] = size
        while self._taken() > self._most_bytes:
            idle = next((key for key, view in self._views.items() if not view.uses), None)
            if idle is None:
                raise ResourcesExhausted(
                    "There is no memory left for what you may see of this release.",
                    remedy="Try again later, or raise LAVRA_SERVICE_RESTRICTED_MB.",
                )
            del self._views[idle]
            self._delete_unused()
            await self._store.keep_files()

    def _taken(self) -> int:
        paths = self._copies() | self._claimed.keys()
        return sum(_size(path) or self._claimed.get(path, 0) for path in paths)

    def _copies(self) -> set[Path]:
        """The views' segments that are copies, not the release's own."""
        return {
            Path(segment)
            for view in self._views.values()
            for segment in view.segments
            if Path(segment).is_relative_to(self._folder)
        }

    def _delete_unused(self) -> None:
        kept = self._copies() | self._claimed.keys()
        files = {view.file for view in self._views.values()}
        for path in self._folder.glob("segments/*/*.seg"):
            if path not in kept:
                path.unlink(missing_ok=True)
        for path in self._folder.glob("releases/*.json"):
            if path not in files:
                path.unlink(missing_ok=True)


def _key(loaded: LoadedRelease, rights: Rights) -> ViewKey:
    return loaded.id, loaded.record, rights.digest


@contextlib.contextmanager
def _using(loaded: LoadedRelease) -> Iterator[None]:
    loaded.uses += 1
    try:
        yield
    finally:
        loaded.uses -= 1


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tags(table: ReleaseTable) -> dict[str, frozenset[str]]:
    return {c["name"].casefold(): frozenset(c.get("tags") or ()) for c in table.columns}


def _restricted(release: Release, rights: Rights, shown: set[str]) -> Release:
    """Return a release's description without what its view does not show."""
    tables = []
    for table in release.tables:
        name = table_name(table)
        if name not in shown:
            continue
        own = rights.tables[name]
        visible = {column for column, _ in own.columns}
        is_cut = own.is_empty or bool(own.filters)
        tables.append(
            replace(
                table,
                columns=[c for c in table.columns if c["name"] in visible],
                grain=table.grain if visible.issuperset(table.grain) else [],
                time_column=table.time_column if table.time_column in visible else None,
                upstream=[model for model in table.upstream if model in shown],
                # Audits saw the hidden rows too.
                audits=[] if is_cut else table.audits,
            )
        )
    return replace(release, tables=tables)
