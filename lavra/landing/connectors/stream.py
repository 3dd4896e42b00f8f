"""The landing of one stream of a connector: lines come in, files and states become visible.

A state is recorded only in the transaction that makes the records before it visible. Where a
stream is read incrementally this happens every so often (a checkpoint), each time as a sync of
its own, so that a read that dies goes on from the last one. Where a generation is replaced, it
happens once, at the end. Streams that share a state (GLOBAL, LEGACY) become visible together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lavra.errors import ConfigurationError, IngestError, LavraError
from lavra.landing.bronze_writer import BronzeWriter
from lavra.landing.connections import Connection, Stream
from lavra.landing.connectors.batches import RecordParser
from lavra.landing.connectors.columns import columns_of, declared_columns
from lavra.landing.connectors.states import State, is_same, known_state, order
from lavra.landing.manifest import (
    Column,
    Sync,
    SyncOutcome,
    begin_sync,
    clean_up,
    commit_syncs,
    fail_sync,
    stream_state,
)
from lavra.landing.reading import Batch
from lavra.landing.run import Progress, StreamResult, schema_of
from lavra.landing.schema_changes import allowed_changes, ignored_columns

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.storage import LakeStorage

BATCH_BYTES = 8 * 1024 * 1024
UNCOVERED_BYTES = 32 * 1024 * 1024
"""Records after the newest state that are held back: until the next one they may have to go."""


class Pipeline:
    """Parses in one thread and writes in another, in order, with few batches under way."""

    def __init__(self) -> None:
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="parse")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._room = threading.Semaphore(3)

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: Any) -> None:
        self._parser.shutdown()
        self._writer.shutdown()

    def batch(self, parse: Callable[[], Batch], write: Callable[[Batch], None]) -> Future[None]:
        """Have a batch parsed and then written; waits while too many are under way."""
        self._room.acquire()
        parsed = self._parser.submit(parse)

        def finish() -> None:
            try:
                write(parsed.result())
            finally:
                self._room.release()

        return self._writer.submit(finish)

    def after(self, work: Callable[[], None]) -> None:
        """Do something once all batches so far are written, and wait for it."""
        self._writer.submit(work).result()


@dataclass
class _Counts:
    """What has landed in this run."""

    rows: int = 0
    bytes: int = 0
    files: int = 0
    misfits: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a run lands: the same for all of its streams."""

    catalog: Catalog
    storage: LakeStorage
    connection: Connection
    pipeline: Pipeline
    progress: Progress
    checkpoint_s: float
    full_refresh: bool


class StreamLanding:
    """One stream in one run.

    Attributes:
        found: What the connector says of the stream.
        state: The newest state that is recorded, from which a read goes on
            (:mod:`lavra.landing.connectors.states`).
        shared: All streams that this one shares its state with, itself too; empty if none.
        is_done: Nothing more is to be read.
        error: Why it failed, if it did.
        commits: How many times something became visible in this run.
    """

    def __init__(self, place: Place, stream: Stream, found: dict[str, Any]) -> None:
        self.stream, self.found = stream, found
        self.error: LavraError | None = None
        self.is_done = False
        self.commits = 0
        self.place, self._started = place, time.monotonic()
        connection = place.connection
        self._namespace = connection.bronze_namespace
        clean_up(place.catalog, place.storage, self._namespace, stream.name)
        before = stream_state(place.catalog, self._namespace, stream.name)
        self._is_first = before.landed_at is None
        self._replaces = place.full_refresh or stream.sync_mode == "full_refresh_overwrite"
        kept = before.state if stream.is_incremental and not place.full_refresh else None
        self.state = known_state(kept)
        self.shared: list[StreamLanding] = []
        self._kinds = columns_of(stream, found)
        self._counts = _Counts(changes=allowed_changes(connection, stream, self._kinds, before))
        for name in ignored_columns(connection, self._kinds, before):
            self._kinds.pop(name)
        self._covers = (
            stream.is_incremental and not self._replaces and connection.source.checkpoints
        )
        self._newest: State | None = None
        self._run_id: int | None = None
        self._parser = RecordParser(self._kinds, list(declared_columns(found)))
        self._reset()

    @property
    def name(self) -> str:
        """The stream's name in Bronze."""
        return self.stream.name

    @property
    def is_open(self) -> bool:
        """Whether records of it are expected."""
        return not self.is_done and self.error is None

    def close(self) -> None:
        """Free what it holds."""
        self._parser.__exit__()

    def add(self, line: bytes) -> None:
        """Take a RECORD line."""
        if self.error:
            return
        self.is_done = False  # if it was: the connector goes on, and so do we
        self._tail.append(line)
        self._tail_bytes += len(line)
        if self._covers:
            if self._tail_bytes > UNCOVERED_BYTES:
                # Too much to hold back. What a state covers lands now; the rest goes into a sync
                # of its own, which is given up if no state follows.
                self._checkpoint()
                self.advance()
                self._is_uncovered = True
        elif self._tail_bytes > BATCH_BYTES:
            self.advance()

    def on_state(self, state: State) -> None:
        """Take the connector's word that ``state`` stands for all records so far.

        Where it is shared, :meth:`checkpoint_if_due` is called once all streams have heard it.
        """
        if self.error:
            return
        self._newest = state
        if not self._covers:
            return
        self.advance()
        self._is_uncovered = False
        if not self.shared:
            self.checkpoint_if_due()

    def checkpoint_if_due(self) -> None:
        """Make what the newest state covers visible, if the last time is long enough ago."""
        if time.monotonic() - self._committed_at >= self.place.checkpoint_s:
            self._checkpoint()

    def complete(self) -> None:
        """Land the rest: the connector has read the stream to its end."""
        if self.is_open:
            complete([self])

    def settle(self) -> None:
        """Record a state that came after the end."""
        moved = self._newest is not None and not is_same(self._newest, self.state)
        if self.is_done and moved and self.stream.is_incremental:
            _commit([self], is_last=False)

    def give_up(self, error: LavraError) -> None:
        """Keep what a state covers, discard the rest: the connector broke off."""
        if self._covers and not self._is_uncovered and self._newest is not None:
            self._checkpoint()
        self.place.pipeline.after(lambda: self.discard(error))
        self._reset()

    def fail(self, error: LavraError) -> None:
        """Give up for good."""
        self.give_up(error)
        self.error = self.error or error

    def result(self) -> StreamResult:
        """Return what became of it."""
        error, counts = self.error, self._counts
        return StreamResult(
            self.place.connection.name, self._namespace, self.name, self.stream.sync_mode,
            row_count=counts.rows, bytes=counts.bytes, file_count=counts.files,
            misfit_count=counts.misfits, seconds=time.monotonic() - self._started,
            schema_changes=tuple(counts.changes), error=error.message if error else None,
            remedy=error.remedy if error else None,
        )  # fmt: skip

    def _reset(self) -> None:
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._ready: list[bytes] = []
        self._ready_bytes = 0
        self._is_uncovered = False
        self._newest = None
        self._sync: Sync | None = None
        self._writer: BronzeWriter | None = None
        self._committed_at = time.monotonic()

    def advance(self) -> None:
        """Let the records held back land."""
        self._ready += self._tail
        self._ready_bytes += self._tail_bytes
        self._tail, self._tail_bytes = [], 0
        if self._ready_bytes > BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Have what may land parsed and written."""
        lines, self._ready, self._ready_bytes = self._ready, [], 0
        if lines and not self.error:
            self.place.pipeline.batch(lambda: self._parser(lines), self._write).add_done_callback(
                self._note
            )

    def _checkpoint(self) -> None:
        together = [landing for landing in self.shared or [self] if landing.error is None]
        if self._newest is not None and all(one.is_covered for one in together):
            for one in together:
                one.flush()
            _commit(together, is_last=False)

    @property
    def is_covered(self) -> bool:
        """Whether all that is written, or about to be, stands before its newest state."""
        return self._covers and not self._is_uncovered

    def _note(self, written: Future[None]) -> None:
        error = written.exception()
        if isinstance(error, LavraError):
            self.error = self.error or error
        elif error is not None:
            self.error = self.error or IngestError(f"{self.name} cannot be written: {error}")

    # What follows runs in the pipeline's writing thread.

    def _write(self, batch: Batch) -> None:
        if self.error:
            return
        self._begin()
        assert self._writer is not None  # noqa: S101 - for mypy: begun above
        self._writer.write(*batch)
        self.place.progress.rows(
            self.place.connection.name, self.name, self._counts.rows + self._writer.row_count
        )

    def _begin(self) -> None:
        if self._writer is not None:
            return
        place = self.place
        self._sync = sync = begin_sync(
            place.catalog, connection_name=place.connection.name, namespace=self._namespace,
            stream=self.name, sync_mode=self.stream.sync_mode, new_generation=self._replaces,
            run_id=self._run_id,
        )  # fmt: skip
        self._run_id = self._run_id or sync.id
        self._writer = BronzeWriter(
            place.storage, sync.prefix, schema_of(self._parser.schema, list(self._kinds)),
            sync_id=sync.id, generation_id=sync.generation_id, extracted_at=sync.started_at,
        )  # fmt: skip

    def close_files(self, *, is_last: bool) -> tuple[Sync, SyncOutcome]:
        """Make the files durable, and return what is to be recorded of them."""
        self._begin()
        writer, sync = self._writer, self._sync
        assert writer is not None  # noqa: S101 - for mypy: begun above
        assert sync is not None  # noqa: S101
        if is_last and (self._replaces or self._is_first):
            writer.ensure_file()  # an empty table has columns too
        with writer:
            pass
        counts = self._counts
        changes = [] if counts.files or self.commits else list(counts.changes)
        if is_last:
            changes += self._undeclared()
        return sync, SyncOutcome(
            files=writer.files,
            columns=[Column(name, str(kind)) for name, kind in self._kinds.items()],
            replaces=self._replaces,
            state=(self._newest or self.state) if self.stream.is_incremental else None,
            misfit_count=writer.misfit_count, schema_changes=changes,
        )  # fmt: skip

    def note_commit(self, outcome: SyncOutcome) -> None:
        """Take note that what was written is visible."""
        self.state, self._newest = outcome.state, None
        self._is_first, self._writer, self._sync = False, None, None
        self._replaces = False  # what may still come belongs to this generation
        self._committed_at = time.monotonic()
        self.commits += 1
        counts = self._counts
        counts.rows += sum(file.row_count for file in outcome.files)
        counts.bytes += sum(file.size for file in outcome.files)
        counts.files += len(outcome.files)
        counts.misfits += outcome.misfit_count

    def _undeclared(self) -> list[dict[str, Any]]:
        found = [
            {"column": name, "change": f"is not declared: left out of {count:,} records",
             "from": None, "to": None}
            for name, count in sorted(self._parser.undeclared.items())
        ]  # fmt: skip
        self._counts.changes += found
        return found

    def discard(self, error: LavraError) -> None:
        """Leave a failed sync as the stream's newest, so that its status says so."""
        try:
            if self._writer is not None:
                self._writer.__exit__(type(error), error, None)
            self._writer = None
            self._begin()
        finally:
            sync, self._writer, self._sync = self._sync, None, None
            if sync is not None:
                fail_sync(self.place.catalog, sync, str(error))


def complete(landings: Sequence[StreamLanding]) -> None:
    """Land the rest of streams that were read to their end; all together, or none."""
    for landing in landings:
        landing.advance()
        landing.flush()
    _commit(landings, is_last=True)
    for landing in landings:
        landing.is_done = landing.error is None


def _commit(landings: Sequence[StreamLanding], *, is_last: bool) -> None:
    """Make what streams have written visible, and their newest states with it, all at once."""

    def commit() -> None:
        whole = [landing for landing in landings if landing.error is None]
        try:
            done = [landing.close_files(is_last=is_last) for landing in whole]
            newest = max((sync.id for sync, _ in done), default=0)
            for _, outcome in done:
                order(outcome.state, newest)
            commit_syncs(place.catalog, done)
        except (IngestError, ConfigurationError) as error:
            for landing in whole:
                landing.discard(error)
                landing.error = error
            return
        for landing, (_, outcome) in zip(whole, done, strict=True):
            landing.note_commit(outcome)

    if any(landing.error is None for landing in landings):
        place = landings[0].place
        place.pipeline.after(commit)
